module lethe/peers

go 1.26
