#!/usr/bin/env perl
# Prints the lines of a table whose key is in a list (with --exclude, is not). The key is field N, else 1.
# usage: filter_scp.pl [--exclude] [-f N] LIST [TABLE] > FILTERED
use strict;
use warnings;

my $name  = "filter_scp.pl";
my $usage = "usage: $name [--exclude] [-f N] LIST [TABLE] > FILTERED\n";
my ( $exclude, $field ) = ( 0, 1 );
while ( @ARGV && $ARGV[0] =~ /^-./ ) {
    my $option = shift @ARGV;
    if ( $option eq "--exclude" ) {
        $exclude = 1;
    }
    elsif ( $option eq "-f" ) {
        $field = shift @ARGV // "";
        die "$name: -f takes a number from 1, not '$field'\n" if $field !~ /^[1-9]\d*$/;
    }
    else {
        die "$name: unknown option $option\n$usage";
    }
}
die $usage if @ARGV < 1 || @ARGV > 2;
my ( $list, $table ) = ( $ARGV[0], $ARGV[1] // "-" );
die "$name: only one of LIST and TABLE can be the standard input\n" if $list eq "-" && $table eq "-";

my %listed;
my $in = reader($list);
while ( my $line = <$in> ) {
    my ($key) = split " ", $line;
    die "$name: $list:$.: the line is blank\n" if !defined $key;
    $listed{$key} = 1;
}
$in = reader($table);
while ( my $line = <$in> ) {
    my $key = ( split " ", $line )[ $field - 1 ];
    die "$name: $table:$.: the line has no field $field\n" if !defined $key;
    print $line if $exclude xor $listed{$key};
}
close STDOUT or die "$name: cannot write: $!\n";

sub reader {
    my ($path) = @_;
    return \*STDIN if $path eq "-";
    open my $handle, "<", $path or die "$name: $path: $!\n";
    return $handle;
}
