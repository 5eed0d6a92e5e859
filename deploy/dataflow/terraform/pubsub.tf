resource "google_pubsub_topic" "events" {
  name                       = "${var.name}-events"
  message_retention_duration = "${var.retention_days * 86400}s"
}

resource "google_pubsub_topic" "dead_letters" {
  name = "${var.name}-dead-letters"
}

# The pipeline's. No dead_letter_policy: the service would put messages aside because Redis was away for a while. What
# cannot be folded, the pipeline itself puts on the topic of dead letters, with the reason.
resource "google_pubsub_subscription" "events" {
  name                       = var.name
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = "${var.retention_days * 86400}s"
  retain_acked_messages      = true

  expiration_policy {
    ttl = ""
  }
}

# Without a subscription a topic keeps nothing.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = var.publishers
  topic    = google_pubsub_topic.events.id
  role     = "roles/pubsub.publisher"
  member   = each.value
}
