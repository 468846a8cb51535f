#!/usr/bin/env perl
# Splits a table into consecutive parts of about the same size; with --utt2spk no speaker is in two parts.
# usage: split_scp.pl [--utt2spk=FILE] TABLE OUT1 OUT2...
#        split_scp.pl [--utt2spk=FILE] [--one-based] -j PARTS PART TABLE [OUT]
# PART counts from 0, with --one-based from 1.
use strict;
use warnings;

my $name  = "split_scp.pl";
my $usage = "usage: $name [--utt2spk=FILE] TABLE OUT1 OUT2...\n"
  . "       $name [--utt2spk=FILE] [--one-based] -j PARTS PART TABLE [OUT]\n";
my ( $utt2spk, $parts, $part, $first ) = ( undef, undef, undef, 0 );
while ( @ARGV && $ARGV[0] =~ /^-./ ) {
    my $option = shift @ARGV;
    if ( $option =~ /^--utt2spk=(.+)$/ ) {
        $utt2spk = $1;
    }
    elsif ( $option eq "--utt2spk" && @ARGV ) {
        $utt2spk = shift @ARGV;
    }
    elsif ( $option eq "--one-based" ) {
        $first = 1;
    }
    elsif ( $option eq "-j" && @ARGV >= 2 && "@ARGV[0, 1]" =~ /^[1-9]\d* \d+$/ ) {
        ( $parts, $part ) = splice @ARGV, 0, 2;
    }
    else {
        die "$name: unknown or incomplete option $option\n$usage";
    }
}
my ( $table, @outputs ) = @ARGV;
die $usage if !defined $table || ( defined $parts ? @outputs > 1 : !@outputs );
if ( defined $parts ) {
    my $last = $parts - 1 + $first;
    die "$name: -j $parts has the parts $first to $last, not $part\n" if $part < $first || $part > $last;
    $part -= $first;
}

my @pieces = partition( groups( read_lines($table) ), $parts // scalar @outputs );
if ( defined $parts ) {
    write_lines( $outputs[0] // "-", $pieces[$part] );
}
else {
    write_lines( $outputs[$_], $pieces[$_] ) for 0 .. $#outputs;
}

sub read_lines {
    my ($path) = @_;
    my $handle = \*STDIN;
    if ( $path ne "-" ) {
        open $handle, "<", $path or die "$name: $path: $!\n";
    }
    my @lines = <$handle>;
    return \@lines;
}

# The lines in groups that must stay together: one each, or all of a speaker.
sub groups {
    my ($lines) = @_;
    return [ map { [$_] } @$lines ] if !defined $utt2spk;
    my %speaker = map { ( split " ", $_ )[ 0, 1 ] } grep { /\S\s+\S/ } @{ read_lines($utt2spk) };
    my ( @groups, %group );
    for my $line (@$lines) {
        my ($utterance) = split " ", $line;
        my $speaker = $speaker{ $utterance // "" };
        die "$name: $table: no speaker in $utt2spk for the line $line" if !defined $speaker;
        push @groups, $group{$speaker} = [] if !$group{$speaker};
        push @{ $group{$speaker} }, $line;
    }
    return \@groups;
}

# Joins consecutive groups into non-empty parts, each ending where the count is closest to its share.
sub partition {
    my ( $groups, $number ) = @_;
    my $unit = defined $utt2spk ? "speakers" : "lines";
    die "$name: $table has " . @$groups . " $unit, too few for $number parts\n" if @$groups < $number;
    my $total = 0;
    $total += @$_ for @$groups;
    my @left = @$groups;
    my ( $done, @result ) = (0);
    for my $index ( 1 .. $number ) {
        my @piece  = @{ shift @left };
        my $target = $total * $index / $number - $done;
        while ( @left > $number - $index && @piece + @{ $left[0] } / 2 <= $target ) {
            push @piece, @{ shift @left };
        }
        $done += @piece;
        push @result, \@piece;
    }
    return @result;
}

# A file appears whole; what is no plain file (a pipe, a device) is written to as it is.
sub write_lines {
    my ( $path, $lines ) = @_;
    my $aside = -e $path && !-f _ ? $path : "$path.$$.tmp";
    my $handle = \*STDOUT;
    if ( $path ne "-" ) {
        open $handle, ">", $aside or die "$name: $aside: $!\n";
    }
    print {$handle} @$lines or die "$name: cannot write $path: $!\n";
    close $handle or die "$name: cannot write $path: $!\n";
    if ( $path ne "-" && $aside ne $path ) {
        rename $aside, $path or die "$name: $path: $!\n";
    }
    return;
}
