"""The studio: local pages that show every number. Nothing in them is fetched from elsewhere, and nothing is sent."""
