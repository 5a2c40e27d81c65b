//! The part of an event that says where it was done: container, pod, service.

use rules::input::{Object, array, text, word};

use crate::container::Context;

/// Adds what is known of the cgroup.
pub(super) fn around(object: &mut Object, context: &Context) {
    object.set_object("container", container(context));
    object.set_object("orchestrator", pod(context));
    if let Some(service) = &context.place.service {
        let mut object_of = Object::new();
        object_of.set("name", text(service));
        object.set_object("service", object_of);
    }
}

fn container(context: &Context) -> Object {
    let mut container = Object::new();
    let Some(id) = &context.place.container else { return container };
    let names = &context.names;
    container.set("id", text(id));
    container.set_some("name", names.container.as_deref().map(text));
    container.set_some("runtime", context.place.runtime.or(names.runtime).map(|runtime| word(runtime.as_str())));
    let mut image = Object::new();
    image.set_some("name", names.image.as_deref().map(text));
    image.set_some("tag", names.tag.as_deref().map(|tag| array([text(tag)])));
    container.set_object("image", image);
    container
}

fn pod(context: &Context) -> Object {
    let mut orchestrator = Object::new();
    let (uid, names) = (context.place.pod.as_ref(), &context.names);
    if uid.is_none() && names.pod.is_none() {
        return orchestrator;
    }
    let mut resource = Object::new();
    resource.set_word("type", "pod");
    resource.set_some("name", names.pod.as_deref().map(text));
    resource.set_some("id", uid.map(|pod| text(&pod.uid)));
    resource.set_some("qos", uid.map(|pod| word(pod.qos)));
    orchestrator.set_word("type", "kubernetes");
    orchestrator.set_some("namespace", names.namespace.as_deref().map(text));
    orchestrator.set_object("resource", resource);
    orchestrator
}
