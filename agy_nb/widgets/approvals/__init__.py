"""Approvals and questions: pending requests, cards and typed prompts."""
