//! `longrun status` of a lake in a bucket: whether it can be reached, what lies there, and how its runs stand.

use serde_json::json;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::Result;
use crate::store::backend::Key;
use crate::store::lake::{Lake, Patience, remote};
use crate::store::names::{self, RUNS};
use crate::tasks::{self, Plan};

pub fn run(context: &Context, url: &str) -> Result<Exit> {
    // What is wrong is said by the first request, and once.
    let lake = Lake::on(remote(url, Patience::Seconds)?, url)?;
    let mut rows = Vec::new();
    let mut folders = Vec::new();
    let mut plans = Vec::new();
    for folder in names::folders() {
        let listed = lake.backend().list(&Key::new(folder))?;
        let bytes: u64 = listed.iter().map(|(_, bytes)| bytes).sum();
        rows.push(vec![folder.to_string(), output::count(listed.len() as u64), output::bytes(bytes)]);
        folders.push(json!({ "folder": folder, "files": listed.len(), "bytes": bytes }));
        let id = |key: &Key| {
            key.as_str().strip_prefix(RUNS)?.strip_prefix('/')?.strip_suffix(".json").map(str::to_string)
        };
        plans.extend(listed.iter().filter_map(|(key, _)| id(key)).filter(|id| !id.contains('/')));
    }
    let mut runs = Vec::new();
    for id in plans {
        let is_over = lake.backend().exists(&tasks::part_key(&id, "done.json"))?;
        // One of another longrun is there as well, and no more is said of it.
        let progress =
            Plan::read(&lake, &id).and_then(|plan| tasks::progress(&lake, &plan)).unwrap_or_default();
        runs.push(json!({ "run": id, "is_finished": is_over, "done": progress }));
        let done: Vec<String> =
            progress.iter().map(|(step, done)| format!("{step} {}", output::count(*done as u64))).collect();
        let state =
            if is_over { "finished".to_string() } else { format!("buckets done: {}", done.join(", ")) };
        rows.push(vec![format!("run {id}"), String::new(), state]);
    }
    if context.json {
        output::json(
            &json!({ "lake": url, "buckets": lake.bucket_count(), "folders": folders, "runs": runs }),
        )?;
        return Ok(Exit::Done);
    }
    output::print(output::table(&["", "files", "bytes"], &rows).trim_end())?;
    say!("{url} can be read; it has {} buckets", output::count(u64::from(lake.bucket_count())));
    Ok(Exit::Done)
}
