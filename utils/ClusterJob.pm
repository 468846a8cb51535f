package ClusterJob;

# What the job runners for clusters (queue.pl, slurm.pl) share: the config that maps options to the
# scheduler's own, the script of the job array, and the waiting. Each task of the array leaves what it ended
# with as an empty file TASK.CODE in a folder; a task that leaves the scheduler's queue without one has
# failed.
use strict;
use warnings;
use Cwd qw(getcwd);
use Exporter qw(import);
use File::Basename qw(basename dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Text::ParseWords qw(shellwords);
use Time::HiRes qw(sleep time);
use JobOptions qw(parse_command_line log_of template_of_command single_quoted fail report_failures
  make_log_folders make_folder);

our @EXPORT_OK = qw(run_on_cluster answer_of);

my $program = basename($0);
my $tries   = 8;     # of one submission; the waits between them begin with a quarter of `poll` and double
my $stopped = "";    # the signal that this program got
my @passed  = qw(PATH LD_LIBRARY_PATH PYTHONPATH SERTK_PYTHON);    # on to the command, whatever a node's are

# run_on_cluster(\%engine) is the whole of a job runner. %engine says what is particular to the scheduler:
#   config          name of the file
#   task            environment variable with the number of a task
#   limits_arrays   whether max_jobs_run is a part of an array's range and no matter of the config
#   submission      function of the array to what the submitting command needs beside the config's words
#   id              pattern of the job's number, or what else tells it from others, in its answer
#   passing         pattern of complaints that a later try may not meet
#   unfinished      function of a job's id to its tasks in the queue, each with why it will never run,
#                   or ""; undef if the scheduler does not answer
#   removal         function of a job's id, and of its tasks if not all, to the command that removes them
sub run_on_cluster {
    my ($engine) = @_;
    my $job      = parse_command_line( \@ARGV, undef );
    my $config   = read_config( config_file( $engine, delete $job->{options}{config} ) );
    my @words    = submission_words( $engine, $config, $job );
    make_log_folders($job);
    remove_old_logs($job);
    for my $signal (qw(INT TERM HUP)) {
        next if ( $SIG{$signal} // "" ) eq "IGNORE";    # so that nohup keeps its meaning
        $SIG{$signal} = sub { $stopped = $signal };
    }
    my $array  = describe_array( $engine, $job );
    my $id     = submit( $engine, $config, $array, @words );
    my %failed = $stopped ? () : wait_for_tasks( $engine, $config, $array, $id );
    remove_tree( $array->{codes} );                     # a task that starts after this does nothing
    end_stopped( $engine, $id )        if $stopped;
    report_failures( $job, \%failed ) if %failed;
    exit( %failed ? 1 : 0 );
}

# The tasks append to their logs, as the scheduler may run one again.
sub remove_old_logs {
    my ($job) = @_;
    for my $log ( grep { -f } map { log_of( $job, $_ ) } $job->{first} .. $job->{last} ) {
        unlink $log or fail("cannot replace the log $log: $!");
    }
    return;
}

sub config_file {
    my ( $engine, $named ) = @_;
    return $named if defined $named;
    my $own = "conf/$engine->{config}";
    return -e $own ? $own : dirname(__FILE__) . "/$engine->{config}";
}

# read_config($file) returns command (its words), options (name to value to words), defaults, poll (seconds).
sub read_config {
    my ($file) = @_;
    open my $lines, "<", $file or fail("cannot read the config $file: $!");
    my %config = ( file => $file, options => {}, defaults => {}, poll => 20 );
    while ( my $line = <$lines> ) {
        $line =~ s/(^|\s)#.*//s;
        next if $line !~ /\S/;
        my $where = "$file line $.";
        my ( $what, $rest ) = $line =~ /^\s*(command|option|default|poll)\s+(.*?)\s*$/
          or fail("$where: expected command, option NAME=VALUE, default NAME=VALUE or poll SECONDS");
        if ( $what eq "command" ) { $config{command} = words_of( $rest, $where ) }
        elsif ( $what eq "poll" ) {
            fail("$where: poll takes seconds, not '$rest'") if $rest !~ /^\d*\.?\d+$/ || !$rest;
            $config{poll} = $rest;
        }
        else {
            my ( $name, $value, $words ) = $rest =~ /^([A-Za-z][\w-]*)=(\S+)\s*(.*)$/
              or fail("$where: expected $what NAME=VALUE");
            $name =~ tr/-/_/;
            if ( $what eq "option" ) { $config{options}{$name}{$value} = words_of( $words, $where ) }
            else                     { $config{defaults}{$name} = $value }
        }
    }
    fail("$file: has no line 'command ...'") if !@{ $config{command} // [] };
    return \%config;
}

sub words_of {
    my ( $text, $where ) = @_;
    my @words = shellwords($text);
    fail("$where: a quote is not closed") if !@words && $text =~ /\S/;
    return \@words;
}

# The submitting command with the words of every option, given or by default. How many tasks run at a time is
# no concern of a single job; it goes to $job->{at_once} where the scheduler has it as a part of the range.
sub submission_words {
    my ( $engine, $config, $job ) = @_;
    my %values = %{ $config->{defaults} };
    for my $name ( keys %{ $job->{options} } ) {
        ( my $key = $name ) =~ tr/-/_/;
        $values{$key} = $job->{options}{$name};
    }
    my @words = @{ $config->{command} };
    delete $values{max_jobs_run} if $job->{first} == $job->{last};
    $job->{at_once} = $engine->{limits_arrays} ? delete $values{max_jobs_run} : undef;
    for my $key ( sort keys %values ) {
        my ( $value, $described ) = ( $values{$key}, $config->{options}{$key} );
        ( my $shown = "--$key" ) =~ tr/_/-/;
        my $template = $described->{$value} // $described->{"*"}
          // fail("$config->{file} does not describe $shown $value (a line 'option $key=* ...' would)");
        push @words, map { s/\$0/$value/gr } @$template;
    }
    return @words;
}

# What is submitted: first, last, name and at_once of the job; title; folder (q/ beside log/) and file, where
# the scheduler's own output goes, with NAME in the file alone; script and its text; and codes, the folder
# that the tasks leave their exit codes in, made anew for each submission.
sub describe_array {
    my ( $engine, $job ) = @_;
    my @path = split m{/}, $job->{log};
    my @folder;
    push @folder, shift @path while @path > 1 && index( $path[0], $job->{name} // "/" ) < 0;
    my $file = join "_", @path;
    pop @folder if @folder && $folder[-1] eq "log";
    my $cwd    = working_folder();
    my $folder = join "/", $job->{log} =~ m{^/} ? () : $cwd, @folder, "q";
    make_folder($folder);
    ( my $base  = $file ) =~ s/\.log$//;
    ( my $title = $base ) =~ s/[^\w.-]/_/ga;
    return {
        %{$job}{qw(first last name at_once)},
        title  => $title =~ /^[A-Za-z]/ ? $title : "job_$title",
        folder => $folder,
        file   => $file,
        base   => $base,
        script => "$folder/$base.sh",
        text   => script( $engine, $job, $cwd ),
    };
}

# The working folder as the user named it, where that is right: clusters may mount it under that name alone.
sub working_folder {
    my ( $named, $real ) = ( $ENV{PWD} // "", getcwd() );
    my @of_named = stat $named;
    my @of_real  = stat $real;
    return $named =~ m{^/} && @of_named && "@of_named[0, 1]" eq "@of_real[0, 1]" ? $named : $real;
}

# The script of the array, but for its first lines, which say where this submission's exit codes go. A
# scheduler that stops a task sends SIGTERM (Grid Engine SIGUSR2) to it, to all its processes or to the script
# alone. All get it then, and those that save their work are waited for. Such a task leaves no exit code: it
# may be about to run again.
sub script {
    my ( $engine, $job, $cwd ) = @_;
    my @there   = grep { defined $ENV{$_} } @passed;
    my $exports = join "\n", map { "export $_=" . single_quoted( $ENV{$_} ) } @there;
    my ( $log, $command ) = map { single_quoted($_) } $job->{log}, template_of_command($job);
    my $name    = $job->{name} // "";                            # empty: bash replaces nothing
    my $threads = $job->{options}{"num-threads"} // 1;
    return <<"END_OF_FACTS" . <<'END_OF_SCRIPT';
$exports
task=\$$engine->{task}
threads=$threads
log=$log
command=$command
log=\${log//$name/\$task} command=\${command//$name/\$task}
cd @{[ single_quoted($cwd) ]} && [ -d "\$codes" ] || {
END_OF_FACTS
  echo "$codes is not there: nobody waits for this job any more, or $(hostname) does not see that folder" >&2
  exit 1
}
for ended in "$codes/$task".*; do
  if [ -e "$ended" ]; then exit; fi  # the scheduler runs again what it does not know to be done
done
exec >> "$log" 2>&1 < /dev/null || { : > "$codes/$task.1"; exit 1; }
echo "# Running on $(hostname)"
echo "# Started at $(LC_ALL=C date)"
echo "# ${command//$'\n'/$'\n'# }"
stopped=
stop() { stopped=true; trap '' TERM USR2; kill -TERM 0; }
trap stop TERM USR2
trap '' USR1
exec 8< <(
  trap : TERM
  trap '' USR2
  exec 9>&1 >> "$log"  # all that is started below has the file 9
  if [ -e path.sh ]; then . ./path.sh; fi
  code=0
  bash -o pipefail -c "$command" || code=$?
  echo $code >&9
)
read -r -u 8 code || code=1
[ -z "$stopped" ] || cat <&8  # ends with the last of them
[ -z "$(tail -c 1 "$log")" ] || echo
echo "# Accounting: time=$SECONDS threads=$threads"
echo "# Finished at $(LC_ALL=C date) with status $code"
[ -n "$stopped" ] && [ $code -ne 0 ] || : > "$codes/$task.$code"
[ $code -eq 0 ]
END_OF_SCRIPT
}

# submit($engine, $config, $array, @words) returns the job's id, or undef when this program was stopped
# before. A try that seemed to fail may have reached the scheduler: its tasks find the folder of their exit
# codes gone, and end.
sub submit {
    my ( $engine, $config, $array, @words ) = @_;
    my $wait = $config->{poll} / 4;
    for my $try ( 1 .. $tries ) {
        $array->{codes} = eval { tempdir( "$array->{base}.XXXXXX", DIR => $array->{folder} ) }
          // fail("cannot make a folder in $array->{folder}");
        write_script($array);
        my ( $status, $answer ) = answer_of( @words, $engine->{submission}->($array), $array->{script} );
        return $1 if !$status && $answer =~ $engine->{id};
        remove_tree( $array->{codes} );
        return undef if $stopped;
        $answer = join " ", split " ", $answer;
        $answer = "no job id in its answer '$answer'" if !$status;
        my $passing = $status && $answer =~ $engine->{passing};
        fail("$words[0] refused the job: $answer") if !$passing || $try == $tries;
        print STDERR "$program: $words[0] failed, trying again in $wait s: $answer\n";
        pause($wait);
        return undef if $stopped;
        $wait *= 2;
    }
}

sub write_script {
    my ($array) = @_;
    open my $script, ">", $array->{script} or fail("cannot write $array->{script}: $!");
    print $script "#!/bin/bash\n# A task of the array that $program submitted.\n";
    print $script "codes=", single_quoted( $array->{codes} ), "\n", $array->{text};
    close $script or fail("cannot write $array->{script}: $!");
    return;
}

# answer_of(@words) runs a command without a shell and returns its exit status and all that it wrote. Signals
# from the terminal do not reach it: a submission that is half done would leave a job that nobody knows.
sub answer_of {
    my @words = @_;
    my $pid = open( my $output, "-|" ) // fail("cannot start a process: $!");
    if ( !$pid ) {
        setpgrp 0, 0;
        open STDERR, ">&", \*STDOUT;
        no warnings "exec";
        exec { $words[0] } @words;
        print "cannot run $words[0]: $!\n";
        exit 127;
    }
    my $answer = join "", <$output>;
    close $output;
    return ( $?, $answer );
}

sub pause {
    my ($seconds) = @_;
    my $end = time + $seconds;
    sleep( $end - time < 0.2 ? $end - time : 0.2 ) while time < $end && !$stopped;
    return;
}

# wait_for_tasks($engine, $config, $array, $id) returns the tasks that failed, each with its exit code, or undef.
sub wait_for_tasks {
    my ( $engine, $config, $array, $id ) = @_;
    my %left = map { $_ => 1 } $array->{first} .. $array->{last};
    my ( $nap, $asked, %failed, %missed ) = ( 0.1, time );
    while (1) {
        %failed = ( %failed, take_codes( $array, \%left ) );
        return %failed if !%left || $stopped;
        pause($nap);
        $nap = $nap * 1.5 > 1 ? 1 : $nap * 1.5;
        next if time < $asked + $config->{poll};
        my $queued = $engine->{unfinished}->($id);
        $asked = time;
        next if !$queued;
        look_again($array);
        %failed = ( %failed, take_codes( $array, \%left ) );
        my @gone  = grep { !defined $queued->{$_} } keys %left;
        my @lost  = grep { $missed{$_} } @gone;    # twice, as a code may come later than its task's end
        my @stuck = grep { $queued->{$_} } keys %left;
        %missed = map { $_ => 1 } @gone;
        complain( $id, "left the queue without an exit code: removed, out of time, or its node lost", @lost );
        complain( $id, "will never run ($queued->{$stuck[0]})", @stuck ) if @stuck;
        answer_of( $engine->{removal}->( $id, @stuck ) ) if @stuck;
        delete @left{ @lost, @stuck };
        @failed{ @lost, @stuck } = ();
    }
}

sub complain {
    my ( $id, $what, @tasks ) = @_;
    my $shown = join ",", sort { $a <=> $b } @tasks;
    print STDERR "$program: job $id, task $shown $what\n" if @tasks;
    return;
}

# A file made here makes a network file system read the folder anew.
sub look_again {
    my ($array) = @_;
    my $probe = "$array->{codes}/look";
    open my $file, ">", $probe or return;
    unlink $probe;
    return;
}

# Takes the tasks that have ended from %$left and returns those that failed with their exit codes.
sub take_codes {
    my ( $array, $left ) = @_;
    opendir my $folder, $array->{codes} or return;
    my %failed;
    for my $entry ( readdir $folder ) {
        my ( $task, $code ) = $entry =~ /^(\d+)\.(\d+)$/ or next;
        $failed{$task} = $code if delete $left->{$task} && $code != 0;
    }
    return %failed;
}

# Ends this program, which a signal stopped, with the job.
sub end_stopped {
    my ( $engine, $id ) = @_;
    my $what = "";
    if ( defined $id ) {
        my @removal = $engine->{removal}->($id);
        my ( $status, $answer ) = answer_of(@removal);
        $answer = join " ", split " ", $answer;
        $what   = ", job $id is removed";
        $what   = "; job $id may still run, '@removal' failed: $answer" if $status;
    }
    print STDERR "$program: stopped by SIG$stopped$what\n";
    exit 2;
}

1;
