module example.com/external

go 1.26.0

require github.com/graphrun/graphrun v0.0.0

replace github.com/graphrun/graphrun => ../..
