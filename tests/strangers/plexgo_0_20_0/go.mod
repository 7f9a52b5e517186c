module ticketstub/tests/strangers/plexgo_0_20_0

go 1.20

require github.com/LukeHagar/plexgo v0.20.0

require github.com/ericlagergren/decimal v0.0.0-20221120152707-495c53812d05 // indirect
