//! Opens a library and reads the table that it exports.
//!
//! Nothing of the table is believed before it was looked at: the magic number, the versions, the length that the
//! plugin was built with, the abilities that it needs, and that no function is missing.

use std::mem::offset_of;

use barograph_sdk::abi;

/// The abilities that this host knows.
const FEATURES_KNOWN: u64 = abi::FEATURE_EVENTS | abi::FEATURE_LOOKUP;
/// Fields of every plugin, whatever its version: up to the features.
const HEAD_BYTES: usize = offset_of!(abi::Plugin, features);
/// The functions of version 1.0 in their order, without the optional last one.
const FUNCTIONS: [(&str, usize); 8] = [
    ("describe", offset_of!(abi::Plugin, describe)),
    ("check_config", offset_of!(abi::Plugin, check_config)),
    ("create", offset_of!(abi::Plugin, create)),
    ("start", offset_of!(abi::Plugin, start)),
    ("collect", offset_of!(abi::Plugin, collect)),
    ("reconfigure", offset_of!(abi::Plugin, reconfigure)),
    ("stop", offset_of!(abi::Plugin, stop)),
    ("destroy", offset_of!(abi::Plugin, destroy)),
];
/// A plugin of version 1.0.
const PLUGIN_BYTES: usize = size_of::<abi::Plugin>();

/// Loads the library and reads its table. It stays loaded for ever.
pub(super) fn open(path: &str) -> Result<abi::Plugin, String> {
    // SAFETY: loading runs the library's initialisers; running its code is what a host is for.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| format!("{path} can't be loaded: {}", cause(&error)))?;
    let table = {
        // SAFETY: the symbol is only used as an address until what stands there was looked at.
        let symbol = unsafe { library.get::<*const u8>(abi::SYMBOL) };
        symbol.ok().map(|symbol| *symbol)
    };
    // Never unloaded: its threads, its thread-locals and its constants outlive any point we could choose.
    std::mem::forget(library);
    let Some(table) = table.filter(|table| !table.is_null()) else {
        return Err(format!(
            "{path} is not a Barograph plugin: it does not export BAROGRAPH_PLUGIN_V1; was it built with export_collector! or against barograph_plugin.h?"
        ));
    };
    // SAFETY: an exported table stands in a section of the library, readable to the length that it gives.
    unsafe { read(path, table) }
}

/// What the dynamic linker said.
fn cause(error: &libloading::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Copies the table at `address` after it was found good.
///
/// # Safety
/// The head is readable, and if it is that of a plugin, so are as many bytes as it says.
unsafe fn read(path: &str, address: *const u8) -> Result<abi::Plugin, String> {
    // SAFETY: the caller vouches for the head.
    let head = unsafe { bytes::<HEAD_BYTES>(address) };
    check_head(path, &head)?;
    // SAFETY: the head says that a whole plugin of version 1.0 stands here.
    let table = unsafe { bytes::<PLUGIN_BYTES>(address) };
    check_table(path, &table)?;
    // SAFETY: the whole of it is readable, and no function that may not be null is.
    Ok(unsafe { address.cast::<abi::Plugin>().read_unaligned() })
}

/// # Safety
/// `N` bytes are readable at `address`.
unsafe fn bytes<const N: usize>(address: *const u8) -> [u8; N] {
    // SAFETY: the caller vouches for them; bytes may stand anywhere.
    unsafe { address.cast::<[u8; N]>().read_unaligned() }
}

fn field<const N: usize>(table: &[u8], offset: usize) -> [u8; N] {
    let field = table[offset..].first_chunk::<N>();
    *field.expect("the offset is that of a field")
}

fn check_head(path: &str, head: &[u8]) -> Result<(), String> {
    let magic = u64::from_ne_bytes(field(head, offset_of!(abi::Plugin, magic)));
    let size = u32::from_ne_bytes(field(head, offset_of!(abi::Plugin, struct_size)));
    let major = u16::from_ne_bytes(field(head, offset_of!(abi::Plugin, abi_major)));
    let minor = u16::from_ne_bytes(field(head, offset_of!(abi::Plugin, abi_minor)));
    if magic != abi::MAGIC {
        return Err(format!(
            "{path} is not a Barograph plugin: its magic number is wrong; build it with export_collector! or against barograph_plugin.h"
        ));
    }
    if major != abi::ABI_MAJOR {
        let ours = abi::ABI_MAJOR;
        let newer = if major > ours {
            "update barograph, or "
        } else {
            ""
        };
        return Err(format!(
            "{path} was built for plugin ABI {major}.{minor}, and this agent speaks {ours}; {newer}build it with a barograph-sdk for ABI {ours}"
        ));
    }
    if (size as usize) < PLUGIN_BYTES {
        return Err(format!(
            "{path} exports a plugin of {size} bytes, which is shorter than ABI 1.0 with its {PLUGIN_BYTES}; build it anew against barograph_plugin.h"
        ));
    }
    Ok(())
}

fn check_table(path: &str, table: &[u8]) -> Result<(), String> {
    let features = u64::from_ne_bytes(field(table, offset_of!(abi::Plugin, features)));
    let unknown = features & abi::FEATURES_REQUIRED & !FEATURES_KNOWN;
    if unknown != 0 {
        let bits = (0..u64::BITS).filter(|bit| unknown & (1 << bit) != 0);
        let bits: Vec<String> = bits.map(|bit| format!("feature bit {bit}")).collect();
        let bits = bits.join(", ");
        return Err(format!(
            "{path} needs abilities that this agent does not have: {bits}; update barograph"
        ));
    }
    let is_null = |offset: usize| usize::from_ne_bytes(field(table, offset)) == 0;
    let missing = FUNCTIONS.iter().find(|(_, offset)| is_null(*offset));
    if let Some((name, _)) = missing {
        return Err(format!(
            "{path} has no function `{name}`: its pointer is null; every function of barograph_plugin but lookup has to be there"
        ));
    }
    if features & abi::FEATURE_LOOKUP != 0 && is_null(offset_of!(abi::Plugin, lookup)) {
        return Err(format!(
            "{path} says that it has lookups, and its function `lookup` is null; give it one, or leave FEATURE_LOOKUP out"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
