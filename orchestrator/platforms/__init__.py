"""What is known of Jetsons, as data with sources: modules, JetPack releases, operators, error texts."""
