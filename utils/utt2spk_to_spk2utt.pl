#!/usr/bin/env perl
# Turns lines "utterance speaker" into lines "speaker utterance...", in the order in which they come.
# usage: utt2spk_to_spk2utt.pl [UTT2SPK] > SPK2UTT
use strict;
use warnings;

my $name = "utt2spk_to_spk2utt.pl";
die "usage: $name [UTT2SPK] > SPK2UTT\n" if @ARGV > 1;
my $path = $ARGV[0] // "-";
if ( $path ne "-" ) {
    open STDIN, "<", $path or die "$name: $path: $!\n";
}
my ( @speakers, %utterances );
while ( my $line = <STDIN> ) {
    my @fields = split " ", $line;
    die "$name: $path:$.: expected 'utterance speaker', not '@fields'\n" if @fields != 2;
    my ( $utterance, $speaker ) = @fields;
    push @speakers, $speaker unless $utterances{$speaker};
    push @{ $utterances{$speaker} }, $utterance;
}
print "$_ @{ $utterances{$_} }\n" for @speakers;
close STDOUT or die "$name: cannot write: $!\n";
