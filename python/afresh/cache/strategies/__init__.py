"""What ``Cache`` does around functions: each strategy is steps to an answer, written once for threads and loops."""
