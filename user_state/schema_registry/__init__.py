"""Schemas by id, from a registry that speaks Confluent's REST interface."""
