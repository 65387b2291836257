//! People: their accounts and how they sign in. Memberships are in [`crate::tenants`].

pub mod accept;
pub mod access_token;
pub mod address;
pub mod admission;
pub mod change_address;
mod change_password;
mod erase_user;
pub mod external_login;
pub mod known_client;
mod operator_role;
pub mod operators;
pub mod password;
mod profile;
mod prune_people;
pub mod reauthenticate;
pub mod recover;
pub mod second_factor;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod store;
pub mod throttle;

pub use address::{Address, BadAddress};
pub use admission::{PeopleConfig, SignInWith, SignUp};
pub use change_password::{ChangePasswordError, change_password};
pub use erase_user::EraseUser;
pub use operator_role::OperatorRole;
pub use profile::{LeaveError, leave};
pub use prune_people::PrunePeople;
