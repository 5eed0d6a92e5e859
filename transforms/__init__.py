"""Beam shells around the core, one PTransform a file.

Importing Beam beside google-cloud-pubsub, but without its gcp extra, logs two complaints about clients for Cloud
Storage and BigQuery, which nothing here uses. They are left out; whatever else Beam says is passed on.
"""

import logging

_ABSENT_EXTRAS = ("Failed to import GCSFileSystem", "apitools not found")


def _is_wanted(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_ABSENT_EXTRAS)


for _name in ("apache_beam.io.filesystems", None):  # the second complaint comes from the root logger
    logging.getLogger(_name).addFilter(_is_wanted)
