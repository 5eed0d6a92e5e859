# One primary with a replica. It has no append-only file, so `--durability fsync` is refused there; what a failover may
# lose can be had again by seeking the subscription back.
resource "google_redis_instance" "records" {
  name                    = var.name
  tier                    = "STANDARD_HA"
  memory_size_gb          = var.redis_memory_gb
  redis_version           = "REDIS_7_2"
  authorized_network      = var.network
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  transit_encryption_mode = "DISABLED"

  # An evicted record is a user who begins anew: rather refuse writes, and wait.
  redis_configs = {
    maxmemory-policy = "noeviction"
  }

  persistence_config {
    persistence_mode    = "RDB"
    rdb_snapshot_period = "ONE_HOUR"
  }

  lifecycle {
    prevent_destroy = true
  }
}
