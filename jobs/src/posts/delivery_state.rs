//! The states of a delivery.

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its time, or for what blocks it.
    Scheduled,
    /// Is being published, or looked for because it may be out.
    Submitting,
    /// Is out.
    Published,
    /// Will not go out, unless somebody retries its job.
    Failed,
    /// May be out; a person says.
    Unknown,
    /// Somebody cancelled it.
    Cancelled,
    /// Was found too late to go out. No delivery is that yet.
    Missed,
}

impl DeliveryState {
    /// As stored and as clients read it.
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
