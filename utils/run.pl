#!/usr/bin/env perl
# Runs a command, or an array of them side by side, on this machine, each with its own log.
# usage: run.pl [--num-threads N] [--max-jobs-run N] [--gpu N] [JOB=first:last] LOG command args...
# --mem, --time and --config are for clusters and do nothing here.
use strict;
use warnings;
use Cwd qw(realpath);
use Fcntl;
use File::Basename qw(dirname);
use POSIX qw(:signal_h :sys_wait_h);

BEGIN { unshift @INC, dirname( realpath(__FILE__) ) }
use JobOptions qw(parse_command_line log_of command_of fail report_failures make_log_folders now);

my $GRACE = 20;    # seconds that jobs have to end well when run.pl is stopped

my $job = parse_command_line( \@ARGV, [qw(mem num-threads max-jobs-run gpu time config)] );
my ( $slots, @devices ) = resources( $job->{options} );
make_log_folders($job);

my %running;    # process id to what is known of its job
my %failed;     # a job's number to its exit code, undef where it could not be started
my ( $stopped_by, $killed, $next ) = ( 0, 0, $job->{first} );
my $all_signals = POSIX::SigSet->new( SIGINT, SIGTERM, SIGHUP, SIGALRM );
$SIG{$_}   = \&stop for qw(INT TERM HUP);
$SIG{ALRM} = \&kill_all;

while ( %running || ( $next <= $job->{last} && !$stopped_by ) ) {
    if ( $next <= $job->{last} && !$stopped_by && keys %running < $slots ) {
        start( $next++ );
    }
    else {
        finish();
    }
}
exit 128 + $stopped_by if $stopped_by;
report_failures( $job, \%failed ) if %failed;
exit( %failed ? 1 : 0 );

# How many jobs run at once, and the names of the graphics cards that they share.
sub resources {
    my ($options) = @_;
    my $gpus      = $options->{gpu} // 0;
    my @cards     = $gpus ? graphics_cards() : ();
    my $limit     = $gpus ? int( @cards / $gpus ) : processors();
    my $shown     = @cards;
    fail("--gpu $gpus: there are $shown graphics cards (CUDA_VISIBLE_DEVICES or nvidia-smi -L)") if !$limit;
    my $wanted = $options->{"max-jobs-run"} // $limit;
    return ( $wanted < $limit ? $wanted : $limit, @cards );
}

sub graphics_cards {
    my $visible = $ENV{CUDA_VISIBLE_DEVICES};
    return grep { $_ ne "-1" } split /\s*,\s*/, $visible if defined $visible;
    my $count = grep { /^GPU \d+:/ } split /\n/, `nvidia-smi -L 2>/dev/null` // "";
    return 0 .. $count - 1;
}

# The processors that this process may use; where OMP_NUM_THREADS is set, nproc would answer with that.
sub processors {
    if ( open my $status, "<", "/proc/self/status" ) {
        for my $ranges ( map { /^Cpus_allowed_list:\s*(\S+)/ ? $1 : () } <$status> ) {
            my $count = 0;
            $count += /(\d+)-(\d+)/ ? $2 - $1 + 1 : 1 for split /,/, $ranges;
            return $count;
        }
    }
    my $count = `getconf _NPROCESSORS_ONLN 2>/dev/null` // "";
    return $count =~ /^([1-9]\d*)$/ ? $1 : 1;
}

sub start {
    my ($number) = @_;
    my ( $path, $command ) = ( log_of( $job, $number ), command_of( $job, $number ) );
    my $log;
    if ( !sysopen $log, $path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND ) {
        print STDERR "run.pl: cannot write the log $path: $!\n";
        $failed{$number} = undef;
        return;
    }
    my @cards = splice @devices, 0, $job->{options}{gpu} // 0;
    ( my $shown = $command ) =~ s/\n/\n# /g;
    syswrite $log, "# $shown\n# Started at " . now() . "\n";
    sigprocmask( SIG_BLOCK, $all_signals );    # or a stop could miss a job that was just born
    my $pid = fork;
    become( $command, $log, @cards ) if defined $pid && $pid == 0;
    if ( defined $pid ) {
        setpgrp $pid, $pid;
        $running{$pid} = { number => $number, log => $log, cards => \@cards, started => time };
    }
    else {
        print STDERR "run.pl: cannot start a process: $!\n";
        $failed{$number} = undef;
        push @devices, @cards;
    }
    sigprocmask( SIG_UNBLOCK, $all_signals );
    return;
}

# In the new process: the command instead of run.pl, in a process group of its own.
sub become {
    my ( $command, $log, @cards ) = @_;
    setpgrp 0, 0;
    $SIG{$_} = "DEFAULT" for qw(INT TERM HUP ALRM);
    sigprocmask( SIG_UNBLOCK, $all_signals );
    $ENV{CUDA_VISIBLE_DEVICES} = join ",", @cards if @cards;
    open STDOUT, ">&", $log or POSIX::_exit(126);
    open STDERR, ">&", $log or POSIX::_exit(126);
    no warnings "exec";
    exec "bash", "-o", "pipefail", "-c", $command;
    print STDERR "run.pl: cannot start bash: $!\n";
    POSIX::_exit(127);
}

# Waits for one job and ends its log.
sub finish {
    my $pid  = waitpid -1, 0;
    my $code = WIFSIGNALED($?) ? 128 + WTERMSIG($?) : WEXITSTATUS($?);
    wait_for_group($pid) if $stopped_by;
    my $ended = delete $running{$pid} or return;
    $failed{ $ended->{number} } = $code if $code != 0;
    push @devices, @{ $ended->{cards} };
    my $seconds = time - $ended->{started};
    my $threads = $job->{options}{"num-threads"} // 1;
    my $log     = $ended->{log};
    sysseek $log, -1, 2;
    sysread $log, my $last, 1;
    syswrite $log, "\n" if ( $last // "\n" ) ne "\n";
    syswrite $log, "# Accounting: time=$seconds threads=$threads\n";
    syswrite $log, "# Ended (code $code) at " . now() . ", elapsed time $seconds seconds\n";
    close $log;
    return;
}

# A stopped shell is gone at once, but what it had started may still be saving its work.
sub wait_for_group {
    my ($group) = @_;
    select undef, undef, undef, 0.05 while !$killed && kill( 0, -$group ) && group_lives($group);
    return;
}

# Whether a process group has more than zombies, which stay where nothing adopts orphans, as in a container.
sub group_lives {
    my ($group) = @_;
    my @files = glob "/proc/[0-9]*/stat";
    for my $file (@files) {
        open my $stat, "<", $file or next;
        my $line = <$stat> // "";
        return 1 if $line =~ /.*\) (\S) \d+ (\d+) / && $2 == $group && $1 ne "Z";
    }
    return !@files;
}

# A signal to run.pl: the jobs and all that they started get TERM, after a while or a second signal KILL.
sub stop {
    my ($signal) = @_;
    my %number = ( INT => SIGINT, TERM => SIGTERM, HUP => SIGHUP );
    return kill_all() if $stopped_by;
    $stopped_by = $number{$signal};
    kill "TERM", map { -$_ } keys %running;
    print STDERR "run.pl: stopped by SIG$signal, the jobs are given $GRACE seconds to end\n" if %running;
    alarm $GRACE;
    return;
}

sub kill_all {
    $killed = 1;
    kill "KILL", map { -$_ } keys %running;
    return;
}
