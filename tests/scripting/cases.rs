//! Reads the recorded cases. The format is described in `tests/scripting.rs`.

use std::path::Path;

/// One case: steps on a server that was emptied.
pub(crate) struct Case {
    /// Its steps in order.
    pub(crate) steps: Vec<Step>,
}

/// One step of a case.
pub(crate) struct Step {
    /// `file:line`.
    pub(crate) place: String,
    /// The step as it is written, with its `|` lines.
    pub(crate) text: String,
    /// The `|` lines.
    pub(crate) block: Vec<String>,
    /// What 7.2 answered; `None` where the step has no answer.
    pub(crate) expected: Option<String>,
    /// What 7.0 answered, where that is something else.
    pub(crate) older: Option<String>,
}

/// All cases, or those of the files that `MILLRACE_CASES` names, in the order of the files' names.
pub(crate) fn all_cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripting/cases");
    let only = std::env::var("MILLRACE_CASES").unwrap_or_default();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".txt") && name.contains(&only))
        .collect();
    names.sort();
    names
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            cases_of(name, &text)
        })
        .collect()
}

/// The cases of one file.
fn cases_of(name: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for (at, line) in text.lines().chain([""]).enumerate() {
        if line.is_empty() {
            if !steps.is_empty() {
                cases.push(Case {
                    steps: std::mem::take(&mut steps),
                });
            }
        } else if let Some(last) = steps.last_mut()
            && let Some(more) = line.strip_prefix('|')
        {
            let more = more.strip_prefix(' ').unwrap_or(more);
            last.block.push(more.to_owned());
            last.text.push('\n');
            last.text.push_str(line);
        } else if let Some(last) = steps.last_mut()
            && let Some(reply) = line.strip_prefix("= ")
        {
            last.expected = Some(reply.to_owned());
        } else if let Some(last) = steps.last_mut()
            && let Some(reply) = line.strip_prefix("7.0 ")
        {
            last.older = Some(reply.to_owned());
        } else if !line.starts_with('#') {
            steps.push(Step {
                place: format!("{name}:{}", at + 1),
                text: line.to_owned(),
                block: Vec::new(),
                expected: None,
                older: None,
            });
        }
    }
    cases
}
