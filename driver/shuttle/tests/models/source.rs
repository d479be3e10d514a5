//! What no model sees.

use std::fs;
use std::path::Path;

#[test]
fn what_the_driver_locks_is_a_lock_that_the_models_know() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut locks = 0;
    for file in fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let text = fs::read_to_string(&file).unwrap();
        locks += usize::from(text.contains("crate::sync::"));
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            let foreign = ["Mutex", "RwLock", "Condvar", "Atomic", "Once<", "mpsc"].iter().any(|name| {
                line.contains(name) && (line.contains("std::sync::") || line.contains("core::sync::"))
            });
            assert!(!foreign || file.ends_with("sync.rs"), "{}: {line}", file.display());
        }
    }
    assert!(locks >= 4, "{locks} files lock something");
}
