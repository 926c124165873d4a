//! `cargo xtask dist`: builds what is shipped, with the page inside, and prints the sizes.

use std::path::Path;

use crate::node::Node;
use crate::place::{self, Place};
use crate::shell::{self, Fallible};
use crate::web;

pub(crate) fn dist() -> Fallible {
    let place = Place::find()?;
    let node = Node::ensure(&place)?;
    web::build(&place, &node)?;
    shell::run(place.cargo().args(["build", "--profile", "dist"]))?;
    for profile in ["release", "dist"] {
        let mut files = vec![place.agent(profile)];
        for plugin in place.plugins()? {
            files.push(place.target.join(profile).join(place::library(&plugin)));
        }
        for file in files {
            if let Some(bytes) = size(&file) {
                println!("{:>12} bytes  {}", bytes, file.display());
            }
        }
    }
    Ok(())
}

/// The size of a file in bytes, if it is there.
pub(crate) fn size(file: &Path) -> Option<u64> {
    std::fs::metadata(file).ok().map(|metadata| metadata.len())
}
