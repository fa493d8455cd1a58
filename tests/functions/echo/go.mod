module mkcluster.dev/functions/echo

go 1.26.0
