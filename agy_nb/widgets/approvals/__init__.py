"""Approvals and questions: what is pending, and the ways to answer."""
