# A day of Ruby's Net::IMAP; prints what went wrong, or "done".
require 'net/imap'

host, port, ca, user, password = ARGV
imap = Net::IMAP.new(host, port: port.to_i, ssl: { ca_file: ca })
imap.authenticate('PLAIN', user, password)
same = ->(what, heard, wanted) { abort("#{what}: #{heard.inspect}") unless heard == wanted }

name = Net::IMAP.encode_utf7('Ruby/größe')
imap.create(name)
same.('list', imap.list('', 'Ruby/*').map(&:name), [name])
imap.select(name)
imap.append(name, "Subject: =?utf-8?q?gr=C3=BCn?=\r\n\r\nruby\r\n", [:Seen], Time.at(0))
same.('search', imap.uid_search(['SUBJECT', 'grün'.b], 'UTF-8'), [1])
same.('sort', imap.sort(['DATE'], ['ALL'], 'UTF-8'), [1])
same.('thread', imap.thread('REFERENCES', ['ALL'], 'UTF-8').map(&:seqno), [1])
items = ['UID', 'FLAGS', 'ENVELOPE', 'BODYSTRUCTURE', 'INTERNALDATE', 'RFC822.SIZE', 'BODY.PEEK[]']
fetched = imap.fetch(1..-1, items).first.attr
same.('envelope', fetched['ENVELOPE'].subject, '=?utf-8?q?gr=C3=BCn?=')
same.('structure', fetched['BODYSTRUCTURE'].subtype, 'PLAIN')
same.('body', fetched['BODY[]'].bytesize, fetched['RFC822.SIZE'])
imap.uid_copy(1, name)
imap.uid_store(2, '+FLAGS', [:Deleted])
same.('status', imap.status(name, ['MESSAGES', 'UIDNEXT']), { 'MESSAGES' => 2, 'UIDNEXT' => 3 })
same.('expunge', imap.expunge, [2])
heard = []
Thread.new { sleep 0.05; imap.idle_done }
imap.idle { |response| heard << response.class }
imap.uid_move(1, 'INBOX')
begin
  imap.select('nowhere')
rescue Net::IMAP::NoResponseError => e
  same.('code', e.response.data.code.name, 'NONEXISTENT')
end
imap.delete(name)
imap.logout
puts 'done'
