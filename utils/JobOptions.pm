package JobOptions;

# What the job runners (run.pl and those for clusters) share: their command line
#
#     X.pl [options] [NAME=a:b | NAME=a] [options] LOG command args...
#
# NAME is replaced by the number of the job everywhere in LOG and the command.
use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use POSIX qw(strftime setlocale LC_TIME);

our @EXPORT_OK = qw(parse_command_line log_of command_of template_of_command substitute single_quoted fail
  report_failures make_log_folders make_folder now);

my $program = basename($0);
my $shown   = 3;        # reasons of failures, at most
my $longest = 500;      # bytes of such a reason
my $tail    = 65536;    # bytes at the end of a log, in which it is looked for
my $whole   = qr/^[1-9]\d*$/;
my %checks  = (
    "num-threads"  => [ $whole,            "a number from 1" ],
    "max-jobs-run" => [ $whole,            "a number from 1" ],
    "num-nodes"    => [ $whole,            "a number from 1" ],
    "gpu"          => [ qr/^(0|[1-9]\d*)$/, "a number from 0" ],
);

# fail($message) ends the program with one line.
sub fail {
    my ($message) = @_;
    print STDERR "$program: $message\n";
    exit 1;
}

# now(): a date for log files, in English whatever the locale is.
sub now {
    setlocale( LC_TIME, "C" );
    return strftime( "%a %b %e %H:%M:%S %Z %Y", localtime );
}

# parse_command_line(\@words, \@known) reads options, "--name value" or "--name=value", with - or _ in the
# name; only those that $known names are allowed (undef: all). Returns a reference to a hash: options (name to
# value), name (undef without a range), first and last, log, and command (a reference to its words). From then on
# neither the program nor what it starts reads the terminal, or the list of a loop around it.
sub parse_command_line {
    my ( $words, $known ) = @_;
    open STDIN, "<", "/dev/null" or fail("cannot read /dev/null: $!");
    my @words = @$words;
    my %job   = ( options => {}, name => undef, first => 1, last => 1 );
    while (@words) {
        if ( $words[0] =~ /^-/ ) {
            take_option( \@words, $job{options}, $known );
        }
        elsif ( !defined $job{name} && $words[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?$/a ) {
            @job{qw(name first last)} = ( $1, $2 + 0, ( $3 // $2 ) + 0 );
            fail("bad job range $words[0]: needs 1 <= first <= last") if $2 < 1 || $job{last} < $2;
            shift @words;
        }
        else {
            last;
        }
    }
    fail("usage: $program [options] [JOB=first:last] LOG command args...") if @words < 2;
    ( $job{log}, @{ $job{command} } ) = @words;
    fail("bad job range $job{log}: expected once NAME=first:last") if $job{log} =~ m{^\w+=[^/]*$};
    if ( $job{last} > $job{first} && index( $job{log}, $job{name} ) < 0 ) {
        fail("the log $job{log} must contain $job{name}, or all jobs would write the same file");
    }
    return \%job;
}

sub take_option {
    my ( $words, $options, $known ) = @_;
    my $word = shift @$words;
    my ( $name, $value ) = $word =~ /^--([A-Za-z][\w-]*)(?:=(.*))?$/s;
    $name =~ tr/_/-/ if defined $name;
    my $is_known = defined $name && ( !$known || grep { $_ eq $name } @$known );
    if ( !$is_known ) {
        my $there_are = $known ? "; there are: " . join( " ", map { "--$_" } @$known ) : "";
        fail("unknown option $word$there_are");
    }
    $value = shift @$words if !defined $value;
    fail("the option --$name needs a value") if !defined $value || $value eq "";
    my ( $pattern, $expected ) = @{ $checks{$name} // [ qr//, "" ] };
    fail("the option --$name takes $expected, not '$value'") if $value !~ $pattern;
    $options->{$name} = $value;
    return;
}

# log_of($job, $number) and command_of($job, $number): the log file and the shell command of one job.
sub log_of {
    my ( $job, $number ) = @_;
    return substitute( $job, $number, $job->{log} );
}

sub command_of {
    my ( $job, $number ) = @_;
    return substitute( $job, $number, template_of_command($job) );
}

# A word without white space goes to the shell raw, so that | and > work; another arrives as it is.
# template_of_command($job): the shell command that still has NAME in it.
sub template_of_command {
    my ($job) = @_;
    return join " ", map { /^\S+\z/ ? $_ : single_quoted($_) } @{ $job->{command} };
}

# substitute($job, $number, $text): the text with $number for NAME.
sub substitute {
    my ( $job, $number, $text ) = @_;
    $text =~ s/\Q$job->{name}\E/$number/g if defined $job->{name};
    return $text;
}

# single_quoted($word): the word as a shell must read it to have it as it is.
sub single_quoted {
    my ($word) = @_;
    $word =~ s/'/'\\''/g;
    return "'$word'";
}

sub make_log_folders {
    my ($job) = @_;
    for my $number ( $job->{first} .. $job->{last} ) {
        make_folder( dirname( log_of( $job, $number ) ) );
    }
    return;
}

sub make_folder {
    my ($folder) = @_;
    make_path( $folder, { error => \my $errors } );
    fail( "cannot make the folder $folder: " . join ", ", map { values %$_ } @$errors ) if !-d $folder;
    return;
}

# report_failures($job, \%failed): how many jobs failed and where their logs are, and what the logs say of it. %failed
# has their exit codes by their numbers, undef where nothing tells it.
sub report_failures {
    my ( $job, $codes ) = @_;
    my @failed = sort { $a <=> $b } keys %$codes;
    my $total = $job->{last} - $job->{first} + 1;
    my $logs  = $total == 1 ? log_of( $job, $job->{first} ) : substitute( $job, "*", $job->{log} );
    my $what  = $total == 1 ? "job"                         : @failed . " / $total";
    print STDERR "$program: $what failed, log is in $logs\n";
    my %said = ( "" => 1 );
    for my $number (@failed) {
        my $log    = log_of( $job, $number );
        my $reason = reason_in( $log, $codes->{$number} );
        next if $said{$reason}++;
        print STDERR "$program: $log: $reason\n";
        last if keys %said > $shown;
    }
    return;
}

# reason_in($log, $code): the last line in which a command of ours complains, else the last that the command wrote, or
# "". Where that is not how a job ended, what its exit code says stands before it.
sub reason_in {
    my ( $log, $code ) = @_;
    open my $file, "<:raw", $log or return ending($code);
    seek $file, -$tail, 2 if -s $file > $tail;
    my $text = join "", <$file>;
    $text =~ s/\e\[[\d;]*[A-Za-z]|[\x00-\x08\x0e-\x1f\x7f]//g;    # colours, and what moves a cursor
    my @lines = grep { /\S/ && !/^#/ && !/: line \d+: +\d+ [A-Z][a-z]/ } split /[\r\n]+/, $text;    # bash on a signal
    my @ours  = grep { /(^|\s)sertk-[a-z-]+: / } @lines;
    my $line  = ( @ours ? $ours[-1] : $lines[-1] ) // "";
    $line =~ s/^\s+|\s+$//g;
    $line = substr( $line, 0, $longest ) =~ s/[\xc0-\xff][\x80-\xbf]*$//r . " ..." if length $line > $longest;
    return $line if @ours && $ours[-1] eq $lines[-1] && ( $code // 1 ) < 128;
    return join ": ", grep { $_ ne "" } ending($code), $line;
}

# What an exit code, as bash has it, says of a job's end.
sub ending {
    my ($code) = @_;
    return "" if !defined $code;
    return "exit status $code" if $code <= 128 || $code > 192;
    my $signal = $code - 128;
    return "killed by signal $signal" . ( $signal == 9 ? " (out of memory?)" : "" );
}

1;
