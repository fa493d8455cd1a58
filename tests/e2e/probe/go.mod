module mkcluster.dev/probe

go 1.24
