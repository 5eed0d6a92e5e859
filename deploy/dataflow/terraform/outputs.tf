output "input" {
  description = "For --input."
  value       = "pubsub://${google_pubsub_subscription.events.id}"
}

output "dead_letters" {
  description = "For --dead-letters."
  value       = "pubsub://${google_pubsub_topic.dead_letters.id}"
}

output "redis" {
  description = "For --redis."
  value       = "redis://${google_redis_instance.records.host}:${google_redis_instance.records.port}"
}

output "service_account" {
  description = "For --service_account_email."
  value       = google_service_account.workers.email
}
