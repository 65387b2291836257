//! The states of a delivery.

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its time, or for the cause that blocks it.
    Scheduled,
    /// Is being published, or is looked for because it may be published.
    Submitting,
    /// Is published.
    Published,
    /// Will not be published, unless somebody retries its job.
    Failed,
    /// May be published; a person decides.
    Unknown,
    /// Somebody cancelled it.
    Cancelled,
    /// Was found too late to be published. No delivery has this state yet.
    Missed,
}

impl DeliveryState {
    /// The name that is stored and that clients read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Submitting => "submitting",
            Self::Published => "published",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}
