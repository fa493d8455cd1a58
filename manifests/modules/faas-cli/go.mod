module mkcluster.dev/modules/faas-cli

go 1.15

require github.com/openfaas/faas-cli v0.0.0-20211012083206-08e3e965c831

replace golang.org/x/sys => golang.org/x/sys v0.0.0-20200826173525-f9321e4c35a6
