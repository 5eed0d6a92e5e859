"""`--durability fsync` on a server that has no WAITAOF: told with the version that has it, before anything starts."""

import shutil
import subprocess
import time
from contextlib import closing

import pytest
import redis

from tests.servers.ports import free_port
from user_state.errors import StoreError
from user_state.store.redis_store import RedisStateStore

OLD_SERVER = "/usr/bin/redis-server"


@pytest.fixture
def old_redis(tmp_path):
    """The machine's own Redis, if it is older than 7.2; its append-only file is on."""
    if shutil.which(OLD_SERVER) is None:
        pytest.skip(f"needs {OLD_SERVER}")
    port = free_port()
    command = [OLD_SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
    process = subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port)
        for _ in range(100):
            try:
                version = client.info("server")["redis_version"]
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
        if tuple(map(int, version.split(".")[:2])) >= (7, 2):
            pytest.skip(f"{OLD_SERVER} is Redis {version}, which has WAITAOF")
        yield f"redis://127.0.0.1:{port}", version
    finally:
        process.terminate()
        process.wait(10)


def test_a_redis_before_7_2_is_told_with_the_version_that_has_it(old_redis):
    url, version = old_redis
    with (
        closing(RedisStateStore(url, "feed", durability="fsync", timeout_s=5)) as store,
        pytest.raises(StoreError) as said,
    ):
        store.check()
    assert f"is Redis {version}, which has no WAITAOF: --durability fsync needs Redis 7.2 or newer" in str(said.value)
    with closing(RedisStateStore(url, "feed", durability="none", timeout_s=5)) as store:
        store.check()
