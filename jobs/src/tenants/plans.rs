//! Plans and their limits.

/// The plan of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Plan {
    /// The plan with the lowest limits.
    Basic,
    /// The plan in the middle.
    Pro,
    /// The plan with the highest limits.
    Enterprise,
}

impl Plan {
    /// The name that is stored and that clients write.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

/// The limits of tenants, by plan.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PlansConfig {
    /// Posts a day of a tenant on the plan basic. A post counts once for each account.
    #[arg(long, env = "POST_LIMIT_BASIC", default_value_t = 10)]
    pub post_limit_basic: u32,
    /// The same on the plan pro.
    #[arg(long, env = "POST_LIMIT_PRO", default_value_t = 50)]
    pub post_limit_pro: u32,
    /// The same on the plan enterprise.
    #[arg(long, env = "POST_LIMIT_ENTERPRISE", default_value_t = 200)]
    pub post_limit_enterprise: u32,
    /// Pictures that a tenant on the plan basic may upload in all.
    #[arg(long, env = "IMAGE_LIMIT_BASIC", default_value_t = 1_000)]
    pub image_limit_basic: u32,
    /// The same on the plan pro.
    #[arg(long, env = "IMAGE_LIMIT_PRO", default_value_t = 10_000)]
    pub image_limit_pro: u32,
    /// The same on the plan enterprise.
    #[arg(long, env = "IMAGE_LIMIT_ENTERPRISE", default_value_t = 100_000)]
    pub image_limit_enterprise: u32,
    /// Texts a month that AI writes for a tenant on the plan basic.
    #[arg(long, env = "AI_LIMIT_BASIC", default_value_t = 100)]
    pub ai_limit_basic: u32,
    /// The same on the plan pro.
    #[arg(long, env = "AI_LIMIT_PRO", default_value_t = 1_000)]
    pub ai_limit_pro: u32,
    /// The same on the plan enterprise.
    #[arg(long, env = "AI_LIMIT_ENTERPRISE", default_value_t = 10_000)]
    pub ai_limit_enterprise: u32,
}

impl PlansConfig {
    /// The limit of posts a day.
    #[must_use]
    pub fn posts(&self, plan: Plan) -> u32 {
        match plan {
            Plan::Basic => self.post_limit_basic,
            Plan::Pro => self.post_limit_pro,
            Plan::Enterprise => self.post_limit_enterprise,
        }
    }

    /// The limit of uploaded pictures in all.
    #[must_use]
    pub fn images(&self, plan: Plan) -> u32 {
        match plan {
            Plan::Basic => self.image_limit_basic,
            Plan::Pro => self.image_limit_pro,
            Plan::Enterprise => self.image_limit_enterprise,
        }
    }

    /// The limit of AI texts a month.
    #[must_use]
    pub fn generations(&self, plan: Plan) -> u32 {
        match plan {
            Plan::Basic => self.ai_limit_basic,
            Plan::Pro => self.ai_limit_pro,
            Plan::Enterprise => self.ai_limit_enterprise,
        }
    }
}
