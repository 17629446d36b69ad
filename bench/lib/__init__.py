"""The benchmark's parts: stats and report know nothing of queues; bed holds the stores; peers/ are what is compared;
measures/ are the questions, one file each."""
