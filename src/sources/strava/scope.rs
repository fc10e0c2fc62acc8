//! What an athlete granted: Strava's scopes, with commas between.

fn has(scope: &str, wanted: &str) -> bool {
    scope.split([',', ' ']).any(|granted| granted == wanted)
}

/// Whether activities that only the athlete sees are among what was granted.
pub fn covers_private(scope: &str) -> bool {
    has(scope, "activity:read_all")
}

/// What cannot be fetched with what was granted, and the way out.
pub fn lack(scope: &str) -> Option<&'static str> {
    if covers_private(scope) {
        None
    } else if has(scope, "activity:read") {
        Some(
            "the athlete did not grant activity:read_all: activities that only they see, and what privacy zones hide, stay \
             out; connect again and leave that box ticked to have them",
        )
    } else {
        Some(
            "the athlete granted no activities: nothing can be fetched; connect again and leave the boxes for activities \
             ticked",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::lack;

    #[test]
    fn what_was_not_granted_is_said_with_the_way_out() {
        assert_eq!(lack("read,activity:read_all"), None);
        assert!(lack("read,activity:read").unwrap().contains("activity:read_all"));
        assert!(lack("read").unwrap().contains("nothing can be fetched"));
    }
}
