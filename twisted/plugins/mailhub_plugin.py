"""Makes ``twistd mailhub``. One statement: this file is imported by every run of twistd."""

from twisted.application.service import ServiceMaker

mailhub = ServiceMaker("mailhub", "mailhub.service", "SMTP, POP3 and IMAP server.", "mailhub")
