"""Content-addressed encrypted artefacts: CID, envelope, backends."""
