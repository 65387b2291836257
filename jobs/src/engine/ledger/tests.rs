//! What staff do to jobs.
