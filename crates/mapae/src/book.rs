//! The book's Rust examples, compiled as documentation tests.

macro_rules! chapters {
    ($($(#[$condition:meta])? $name:ident = $file:literal;)*) => {
        $(
            $(#[$condition])?
            #[doc = include_str!(concat!("../../../docs/", $file))]
            #[expect(dead_code, reason = "a place for documentation tests")]
            struct $name;
        )*
    };
}

chapters! {
    Delegation = "delegation.md";
    FromFastApi = "from-fastapi.md";
    FromFastApiKorean = "from-fastapi.ko.md";
    OwnTable = "own-table.md";
    Protect = "protect.md";
    #[cfg(feature = "testing")]
    Testing = "testing.md";
}
