module lethe/bench

go 1.26
