# On metrics of the services alone. Sections of docs/runbook.md say what to do.
locals {
  alerts = {
    BacklogGrows = {
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=\"${google_pubsub_subscription.events.name}\""
      aligner   = "ALIGN_MAX"
      threshold = var.oldest_message_alert_s
      duration  = "300s"
      what      = "The oldest message that waits is too old: more comes than is folded, or nothing is."
    }
    ManyDuplicates = {
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/expired_ack_deadlines_count\" AND resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=\"${google_pubsub_subscription.events.name}\""
      aligner   = "ALIGN_RATE"
      threshold = 100
      duration  = "900s"
      what      = "Leases end before messages are acknowledged: these come again."
    }
    DeadLetters = {
      filter    = "metric.type=\"pubsub.googleapis.com/topic/send_message_operation_count\" AND resource.type=\"pubsub_topic\" AND resource.label.topic_id=\"${google_pubsub_topic.dead_letters.name}\""
      aligner   = "ALIGN_RATE"
      threshold = 10
      duration  = "600s"
      what      = "More than ten dead letters a second."
    }
    JobRestarting = {
      filter    = "metric.type=\"dataflow.googleapis.com/job/is_failed\" AND resource.type=\"dataflow_job\" AND resource.label.job_name=\"${var.name}\""
      aligner   = "ALIGN_MAX"
      threshold = 0
      duration  = "0s"
      what      = "The Dataflow job has failed."
    }
    FeaturesLate = {
      filter    = "metric.type=\"dataflow.googleapis.com/job/system_lag\" AND resource.type=\"dataflow_job\" AND resource.label.job_name=\"${var.name}\""
      aligner   = "ALIGN_MAX"
      threshold = 60
      duration  = "600s"
      what      = "Something has been in the pipeline for more than a minute."
    }
    StoreUnavailable = {
      filter    = "metric.type=\"redis.googleapis.com/stats/memory/usage_ratio\" AND resource.type=\"redis_instance\" AND resource.label.instance_id=\"${google_redis_instance.records.id}\""
      aligner   = "ALIGN_MAX"
      threshold = 0.85
      duration  = "600s"
      what      = "Redis is nearly full; once it is, it refuses writes and the pipeline waits."
    }
  }
}

resource "google_monitoring_alert_policy" "alerts" {
  for_each              = local.alerts
  display_name          = "${var.name}: ${each.key}"
  combiner              = "OR"
  notification_channels = var.notification_channels

  conditions {
    display_name = each.value.what
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration
      aggregations {
        alignment_period   = "60s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.what} See ${each.key} in docs/runbook.md."
  }
}
