# What scripts need that give commands to run.pl, queue.pl or slurm.pl, sourced.
# shellcheck shell=bash

# job_name TEXT...: prints a name for the number of a job, which the runners replace everywhere, and which is in no TEXT.
job_name() {
    local name=JOB
    while [[ $* = *"$name"* ]]; do name+=X; done
    echo "$name"
}

# quote WORD...: sets `quoted` to words that the command gets as they are. The runners quote those with white space, and
# give the others to the shell, so that | and > work.
quote() {
    local word
    quoted=()
    for word; do
        [[ $word =~ [[:space:]] ]] || word=$(printf %q "$word")
        quoted+=("$word")
    done
}
