#!/usr/bin/env perl
# Runs a command, or an array of them, on a Grid Engine cluster, each with its own log, and waits for the end.
# usage: queue.pl [--mem 4G] [--num-threads N] [--max-jobs-run N] [--gpu N] [--time T] [--config FILE]
#                 [JOB=first:last] LOG command args...
# What the options mean to qsub says --config, else conf/queue.conf, else queue.conf beside this script.
use strict;
use warnings;
use Cwd qw(realpath);
use File::Basename qw(dirname);

BEGIN { unshift @INC, dirname( realpath(__FILE__) ) }
use JobOptions qw(substitute);
use ClusterJob qw(run_on_cluster answer_of);

run_on_cluster(
    {
        config      => "queue.conf",
        task        => "SGE_TASK_ID",
        submission  => \&submission,
        id          => qr/^(\d+)(?:\.\d+-\d+:\d+)?$/m,
        passing     => qr/timed? ?out|temporarily|unable to contact|connect|commlib|gdi request/i,
        unfinished  => \&unfinished,
        removal     => \&removal,
    }
);

# What qsub needs beside the words of the config. It would read lines of the script as options, but for -C.
sub submission {
    my ($array) = @_;
    my $output = "$array->{folder}/" . substitute( $array, '$TASK_ID', $array->{file} );
    $output = "/dev/null" if "$array->{folder}$array->{file}" =~ /[\$:,]/;    # a variable, HOST:PATH or two paths to it
    my $range  = "$array->{first}-$array->{last}";
    return ( "-C", "", "-terse", "-N", $array->{title}, "-o", $output, "-t", $range );
}

# The command that removes a job, or some tasks of it.
sub removal {
    my ( $id, @tasks ) = @_;
    return ( "qdel", @tasks ? map { "$id.$_" } @tasks : $id );
}

# The tasks that qstat still knows, each with why it will never run, if so; undef if qstat does not answer.
sub unfinished {
    my ($id) = @_;
    my $user = getpwuid($>) // $>;
    my ( $status, $answer ) = answer_of( "qstat", "-g", "d", "-u", $user );
    return undef if $status;
    my %tasks;
    for ( map { [split] } split /\n/, $answer ) {
        my ( $job, $state, $task ) = @$_[ 0, 4, -1 ];
        next if @$_ < 8 || $job ne $id;
        $tasks{$task} = $state =~ /E/ ? "state $state, see qstat -j $id" : "";
    }
    return \%tasks;
}
