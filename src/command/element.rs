//! What several families do alike with the elements of their values.

use crate::data::listpack::Element;
use crate::keyspace::KeyHandle;
use crate::keyspace::event::EventClass;
use crate::keyspace::value::Value;
use crate::resp::reply::Reply;

/// An element as a bulk string.
pub(crate) fn reply_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(value) => reply.bulk_integer(value),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Puts what a command has made in the place of whatever its destination holds, without an expiry; `None`, nothing made, removes
/// the key. Tells of it, with the event of the command, and says whether an effect is due, which is the caller's: not when there
/// was nothing to remove.
pub(crate) fn store(
    handle: &mut KeyHandle<'_>,
    made: Option<Value>,
    class: EventClass,
    event: &'static str,
) -> bool {
    let Some(made) = made else {
        let was_there = handle.remove();
        if was_there {
            handle.touched();
            handle.event(EventClass::GENERIC, "del");
        }
        return was_there;
    };
    handle.overwrite(made);
    if handle.expiry().is_some() {
        handle.set_expiry(None);
    }
    handle.touched();
    handle.event(class, event);
    true
}
