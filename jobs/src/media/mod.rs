//! Putting text over pictures.

mod render_overlay;

pub use drawing::{Overlay, Position};
pub use render_overlay::RenderOverlay;
