module ticketstub/tests/strangers/plexgo_0_29_0

go 1.25.10

require github.com/LukeHagar/plexgo v0.29.0
