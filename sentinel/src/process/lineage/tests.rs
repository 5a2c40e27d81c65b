//! Descent by records, and where records are missing. The ids are above the kernel's limit: /proc has no such process.

use std::collections::VecDeque;

use super::*;
use crate::container::Containers;

const SECOND: u64 = 1_000_000_000;
const BASH: FileId = FileId { ino: 7, dev: 1, generation: 0 };
const TOOL: FileId = FileId { ino: 8, dev: 1, generation: 0 };

fn table() -> Processes {
    Processes { table: HashMap::new(), ended: VecDeque::new(), paths: Paths::default(), containers: Containers::none() }
}

/// A process: its number above the limit of ids is also its start in seconds.
fn task(number: u32, parent: u32, executable: FileId) -> Task {
    let pid = |number: u32| if number == 0 { 0 } else { 5_000_000 + number };
    Task {
        tgid: pid(number),
        tid: pid(number),
        start: u64::from(number) * SECOND,
        parent: pid(parent),
        parent_start: u64::from(parent) * SECOND,
        executable,
        ..Task::default()
    }
}

fn exec(all: &mut Processes, task: &Task, path: &str) {
    let image = Image { path: path.into(), file: task.executable, hash: None };
    all.exec(task, image, Arc::new([]), false, false);
}

fn fork(all: &mut Processes, forker: &Task, child: &Task) {
    all.fork(forker, (child.tgid, child.start), (child.parent, child.parent_start));
}

fn names(process: &Process) -> Vec<(u32, &str)> {
    process.ancestors.iter().map(|ancestor| (ancestor.pid - 5_000_000, &*ancestor.executable)).collect()
}

#[test]
fn a_lost_fork_is_made_up_for_by_the_next_event_of_the_child() {
    let mut all = table();
    let (one, two) = (task(1, 0, BASH), task(2, 1, BASH));
    exec(&mut all, &one, "/bin/bash");
    fork(&mut all, &one, &two);
    all.exit(&two, std::time::Instant::now());
    // The record of the fork of 3 by 2 was lost, and 2 is gone.
    let three = all.of(&task(3, 2, BASH)).clone();
    assert_eq!(names(&three), [(2, "/bin/bash"), (1, "/bin/bash")]);
    assert_eq!(&*three.image.path, "/bin/bash", "a child has its parent's image until it executes another");
    exec(&mut all, &task(4, 2, TOOL), "/bin/tool");
    let four = all.of(&task(4, 2, TOOL)).clone();
    assert_eq!(names(&four), [(2, "/bin/bash"), (1, "/bin/bash")]);
    // And so was that of the fork of 5, who has executed nothing and forks 6.
    let (five, six) = (task(5, 4, TOOL), task(6, 5, TOOL));
    fork(&mut all, &five, &six);
    let known = [(5, "/bin/tool"), (4, "/bin/tool"), (2, "/bin/bash"), (1, "/bin/bash")];
    assert_eq!(names(all.of(&six)), known);
}

#[test]
fn descent_stays_when_another_process_takes_a_child_in() {
    let mut all = table();
    let (one, two, three) = (task(1, 0, BASH), task(2, 1, BASH), task(3, 2, BASH));
    exec(&mut all, &one, "/bin/bash");
    fork(&mut all, &one, &two);
    fork(&mut all, &two, &three);
    all.exit(&two, std::time::Instant::now());
    let adopted = Task { parent: one.tgid, parent_start: one.start, ..three };
    assert_eq!(names(all.of(&adopted)), [(2, "/bin/bash"), (1, "/bin/bash")]);
    assert_eq!(all.parent(&adopted).map(|parent| parent.key.pid), Some(one.tgid));
}

#[test]
fn the_image_is_the_forkers_where_the_parent_is_another() {
    let mut all = table();
    let (one, two) = (task(1, 0, BASH), task(2, 1, TOOL));
    exec(&mut all, &one, "/bin/bash");
    fork(&mut all, &one, &Task { executable: BASH, ..two });
    exec(&mut all, &two, "/bin/tool");
    // 2 forks 3 with CLONE_PARENT: its parent is 1.
    let three = task(3, 1, TOOL);
    fork(&mut all, &two, &three);
    let three = all.of(&three).clone();
    assert_eq!((names(&three), &*three.image.path), (vec![(1, "/bin/bash")], "/bin/tool"));
}

#[test]
fn ancestors_are_bounded_and_the_nearest_ones() {
    let mut all = table();
    exec(&mut all, &task(1, 0, BASH), "/bin/bash");
    for number in 2..100 {
        fork(&mut all, &task(number - 1, number - 2, BASH), &task(number, number - 1, BASH));
    }
    let last = all.of(&task(99, 98, BASH)).clone();
    assert_eq!(last.ancestors.len(), ANCESTORS);
    assert_eq!(names(&last)[0], (98, "/bin/bash"));
}

#[test]
fn the_path_of_an_executable_is_known_again() {
    let own = std::env::current_exe().unwrap();
    let file = file_id(&std::fs::metadata(&own).unwrap());
    let mut all = table();
    let path = own.to_str().unwrap();
    exec(&mut all, &task(1, 0, file), path);
    // The record of an exec of the same program by 2 was lost.
    fork(&mut all, &task(1, 0, file), &task(2, 1, BASH));
    assert_eq!(&*all.of(&task(2, 1, file)).image.path, path);
    // What lies at that path is another file now.
    let gone = FileId { ino: file.ino.wrapping_add(1), ..file };
    all.paths.learn(&Image { path: path.into(), file: gone, hash: None });
    assert_eq!(&*all.of(&task(2, 1, gone)).image.path, "");
}

#[test]
fn a_process_that_runs_is_mended_from_proc() {
    let own = std::process::id();
    let (process, _) = read_process(own, None).unwrap();
    let mut all = table();
    let child = Task { tgid: 5_000_000, parent: own, parent_start: process.start, ..Task::default() };
    let first = all.of(&child).ancestors[0].clone();
    assert_eq!((first.pid, &first.executable), (own, &process.image.path));
    assert_eq!(all.of(&child).ancestors.len(), 1 + all.ancestors_in_proc(std::os::unix::process::parent_id()).len());
}
