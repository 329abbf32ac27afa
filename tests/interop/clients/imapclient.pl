# A day of Perl's Mail::IMAPClient; prints what went wrong, or "done".
use strict;
use warnings;
use Mail::IMAPClient;

my ($host, $port, $ca, $user, $password) = @ARGV;
my $imap = Mail::IMAPClient->new(
    Server => $host, Port => $port, User => $user, Password => $password,
    Ssl => [SSL_ca_file => $ca], Uid => 1, Peek => 1,
) or die "login: $@";
my $failed = sub { die "$_[0]: " . ($imap->LastError // '?') };

$imap->create('Perl Box') or $failed->('create');
grep { $_ eq 'Perl Box' } $imap->folders or die 'folders';
$imap->select('Perl Box') or $failed->('select');
my $uid = $imap->append_string('Perl Box', "From: a\@x\r\nSubject: perl\r\n\r\nbody\r\n", '\Seen')
    or $failed->('append');
join(',', $imap->messages) eq $uid or die 'messages';
join(',', $imap->search('SUBJECT', 'perl')) eq $uid or die 'search';
my $found = $imap->fetch_hash('FLAGS', 'RFC822.SIZE', 'INTERNALDATE', 'BODY.PEEK[HEADER.FIELDS (SUBJECT)]');
$found->{$uid}{'RFC822.SIZE'} == 34 or die 'size';
$imap->get_bodystructure($uid)->bodytype eq 'TEXT' or die 'bodystructure';
$imap->get_envelope($uid)->subject eq 'perl' or die 'envelope';
$imap->message_string($uid) =~ /body\r\n\z/ or die 'message';
$imap->set_flag('\Flagged', $uid) or $failed->('set_flag');
join(',', $imap->search('FLAGGED')) eq $uid or die 'flagged';
my $copy = $imap->copy('Perl Box', $uid) or $failed->('copy');
scalar @{$imap->thread('REFERENCES', 'UTF-8', 'ALL')} or die 'thread';
join(',', $imap->sort('ARRIVAL', 'UTF-8', 'ALL')) =~ /\A$uid/ or die 'sort';
my $tag = $imap->idle or $failed->('idle');
$imap->done($tag) or $failed->('done');
$imap->move('Perl Box', $copy) or $failed->('move');
$imap->delete_message([$imap->messages]) or $failed->('delete_message');
$imap->expunge or $failed->('expunge');
$imap->close or $failed->('close');
$imap->rename('Perl Box', 'Perl') or $failed->('rename');
$imap->delete('Perl') or $failed->('delete');
$imap->logout;
print "done\n";
