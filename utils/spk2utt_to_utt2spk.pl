#!/usr/bin/env perl
# Turns lines "speaker utterance..." into lines "utterance speaker", in the order in which they come.
# usage: spk2utt_to_utt2spk.pl [SPK2UTT] > UTT2SPK
use strict;
use warnings;

my $name = "spk2utt_to_utt2spk.pl";
die "usage: $name [SPK2UTT] > UTT2SPK\n" if @ARGV > 1;
my $path = $ARGV[0] // "-";
if ( $path ne "-" ) {
    open STDIN, "<", $path or die "$name: $path: $!\n";
}
while ( my $line = <STDIN> ) {
    my ( $speaker, @utterances ) = split " ", $line;
    die "$name: $path:$.: expected 'speaker utterance...', one word or none is there\n" if !@utterances;
    print "$_ $speaker\n" for @utterances;
}
close STDOUT or die "$name: cannot write: $!\n";
