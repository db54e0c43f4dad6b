"""What the landscape says: numbers with intervals and verdicts as enums."""
