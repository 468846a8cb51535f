#!/usr/bin/env perl
# Runs a command, or an array of them, on a Slurm cluster, each with its own log, and waits for the end.
# usage: slurm.pl [--mem 4G] [--num-threads N] [--max-jobs-run N] [--gpu N] [--num-nodes N] [--time T]
#                 [--config FILE] [JOB=first:last] LOG command args...
# What the options mean to sbatch says --config, else conf/slurm.conf, else slurm.conf beside this script.
use strict;
use warnings;
use Cwd qw(realpath);
use File::Basename qw(dirname);

BEGIN { unshift @INC, dirname( realpath(__FILE__) ) }
use JobOptions qw(substitute);
use ClusterJob qw(run_on_cluster answer_of);

run_on_cluster(
    {
        config        => "slurm.conf",
        task          => "SLURM_ARRAY_TASK_ID",
        limits_arrays => 1,
        submission    => \&submission,
        id            => qr/^(\d+(?:;\S+)?)$/m,
        passing       => qr/timed out|temporarily|unable to contact|not responding|connect/i,
        unfinished    => \&unfinished,
        removal       => \&removal,
    }
);

# What sbatch needs beside the words of the config.
sub submission {
    my ($array) = @_;
    my $range = "$array->{first}-$array->{last}" . ( $array->{at_once} ? "%$array->{at_once}" : "" );
    my ( $folder, $file ) = map { s/%/%%/gr } @$array{qw(folder file)};
    my $output = "$folder/" . substitute( $array, "%a", $file );
    my @names = ( "--job-name=$array->{title}", "--output=$output", "--open-mode=append" );
    return ( "--parsable", "--array=$range", @names );
}

# What sbatch calls a job of another cluster than this machine's, NUMBER;CLUSTER, as options and a number.
sub place_of {
    my ($id) = @_;
    my ( $number, $cluster ) = split /;/, $id;
    return ( $number, defined $cluster ? "--clusters=$cluster" : () );
}

# The command that removes a job, or some tasks of it. The number that Slurm gives a task itself would do nothing.
sub removal {
    my ( $id,     @tasks )   = @_;
    my ( $number, @cluster ) = place_of($id);
    return ( "scancel", @cluster, @tasks ? map { "${number}_$_" } @tasks : $number );
}

# The tasks that squeue still knows, each with why it will never run, if so; undef if squeue does not answer.
sub unfinished {
    my ($id) = @_;
    my ( $number, @cluster ) = place_of($id);
    my @look = ( "squeue", @cluster, "--noheader", "--array", "--jobs=$number", "--format=%K %r" );
    my ( $status, $answer ) = answer_of(@look);
    return {} if $status && $answer =~ /invalid job id/i;    # it ended minutes ago
    return undef if $status;
    my %tasks;
    for ( split /\n/, $answer ) {
        my ( $task, $reason ) = /^(\d+) (.*)$/ or next;
        $tasks{$task} = $reason =~ /launch failed/i ? $reason : "";
    }
    return \%tasks;
}
