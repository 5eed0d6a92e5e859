# The workers' account: it may read one subscription, publish dead letters, pull the image, and use one bucket.
resource "google_service_account" "workers" {
  account_id   = "${var.name}-workers"
  display_name = "Dataflow workers of ${var.name}"
}

# What a worker needs of Dataflow itself: to lease work, to log, to write metrics.
resource "google_project_iam_member" "workers" {
  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.workers.member
}

# Subscriber to pull and acknowledge, viewer to look at the subscription before the start.
resource "google_pubsub_subscription_iam_member" "workers" {
  for_each     = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"])
  subscription = google_pubsub_subscription.events.id
  role         = each.value
  member       = google_service_account.workers.member
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = toset(["roles/pubsub.publisher", "roles/pubsub.viewer"])
  topic    = google_pubsub_topic.dead_letters.id
  role     = each.value
  member   = google_service_account.workers.member
}

resource "google_storage_bucket_iam_member" "workers" {
  bucket = var.bucket
  role   = "roles/storage.objectAdmin"
  member = google_service_account.workers.member
}

resource "google_artifact_registry_repository_iam_member" "workers" {
  location   = var.region
  repository = var.image_repository
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.workers.member
}
