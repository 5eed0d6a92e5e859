"""What is checked before a pipeline starts: names, existence, reachability, credentials; each in words."""

import uuid
from concurrent import futures

import grpc
import pytest
from google.iam.v1 import iam_policy_pb2

from transforms.pubsub_check import check_subscription, check_topic, parse_subscription, parse_topic
from user_state.errors import InputError

SUBSCRIPTION = "projects/local-dev/subscriptions/events"


@pytest.mark.parametrize("path", [SUBSCRIPTION, f"pubsub://{SUBSCRIPTION}"])
def test_a_subscription_may_be_written_with_and_without_scheme(path):
    assert parse_subscription(path) == SUBSCRIPTION


@pytest.mark.parametrize(
    "path", ["projects/local-dev/topics/events", "pubsub://projects/example.com:local-dev/topics/events"]
)
def test_a_topic_may_be_written_with_and_without_scheme(path):
    assert parse_topic(path) == path.removeprefix("pubsub://")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "events",
        "pubsub://events",
        "pubsub://local-dev/subscriptions/events",
        "projects/local-dev/topics/events",  # a topic
        "projects/short/subscriptions/events",  # five characters
        "projects/local-dev/subscriptions/ab",  # two characters
        "projects/local-dev/subscriptions/googevents",
        "projects/local-dev/subscriptions/1events",
        "projects/local-dev/subscriptions/events/",
        "projects/local-dev/subscriptions/events\n",
        "redis://projects/local-dev/subscriptions/events",
    ],
)
def test_a_malformed_subscription_says_what_is_expected_and_what_came(path):
    with pytest.raises(InputError, match="expected a subscription such as pubsub://projects/") as caught:
        check_subscription(path)
    assert repr(path) in str(caught.value)


def test_a_subscription_is_no_topic():
    with pytest.raises(InputError, match="expected a topic such as pubsub://projects/my-project/topics/my-topic"):
        check_topic(SUBSCRIPTION)


@pytest.mark.pubsub
def test_what_exists_passes_and_what_does_not_is_named(pubsub):
    name = f"check-{uuid.uuid4().hex[:8]}"
    topic = pubsub.create_topic(name)
    subscription = pubsub.create_subscription(name, topic)
    assert check_topic(f"pubsub://{topic}") == topic
    assert check_subscription(subscription) == subscription
    with pytest.raises(InputError, match=rf"there is no subscription {subscription}x .*is set to {pubsub.host}"):
        check_subscription(subscription + "x")
    with pytest.raises(InputError, match=rf"there is no topic {topic}x "):
        check_topic(topic + "x")


@pytest.mark.parametrize("check", [check_subscription, check_topic])
def test_an_emulator_that_does_not_answer_is_named_and_not_waited_for(monkeypatch, check):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
    path = SUBSCRIPTION if check is check_subscription else "projects/local-dev/topics/events"
    with pytest.raises(InputError, match=r"cannot reach Pub/Sub .*PUBSUB_EMULATOR_HOST is set to 127\.0\.0\.1:9"):
        check(path)


@pytest.mark.parametrize("check", [check_subscription, check_topic])
def test_no_credentials_are_reported(monkeypatch, tmp_path, check):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # wherever the test runs, no metadata server is asked
    path = SUBSCRIPTION if check is check_subscription else "projects/local-dev/topics/events"
    with pytest.raises(InputError, match=r"no credentials to reach .*PUBSUB_EMULATOR_HOST"):
        check(path)


class _Forbidding(grpc.GenericRpcHandler):
    """Pub/Sub as an account meets it that may not look at resources, and may use those that `granted` says."""

    def __init__(self, granted: list[str]) -> None:
        self._granted = granted

    def service(self, call_details: grpc.HandlerCallDetails):
        if call_details.method == "/google.iam.v1.IAMPolicy/TestIamPermissions":
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: iam_policy_pb2.TestIamPermissionsResponse(permissions=self._granted),
                request_deserializer=iam_policy_pb2.TestIamPermissionsRequest.FromString,
                response_serializer=iam_policy_pb2.TestIamPermissionsResponse.SerializeToString,
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(grpc.StatusCode.PERMISSION_DENIED, "User not authorized")
        )


@pytest.mark.parametrize(
    ("check", "path", "permission", "role"),
    [
        (check_subscription, SUBSCRIPTION, "pubsub.subscriptions.consume", "roles/pubsub.subscriber"),
        (check_topic, "projects/local-dev/topics/events", "pubsub.topics.publish", "roles/pubsub.publisher"),
    ],
)
def test_a_missing_permission_is_said_with_the_role_to_grant_and_the_right_to_look_is_not_needed(
    monkeypatch, check, path, permission, role
):
    for granted in ([], [permission]):
        server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_Forbidding(granted)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")
        try:
            if granted:
                assert check(path) == path
            else:
                with pytest.raises(InputError, match=rf"expected the permission {permission} on .*: grant {role} to"):
                    check(path)
        finally:
            server.stop(None)
