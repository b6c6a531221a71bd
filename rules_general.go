package smtpretry

// Sources that several rules name.
const (
	rfc5321 = "RFC 5321"
	rfc3463 = "RFC 3463"
)

// builtinRules returns all built-in rules in the order in which they are
// tried: what a provider documents of its own codes, then what the words say,
// then what an enhanced status code says alone, then the basic code.
func builtinRules() []builtinRule {
	var all []builtinRule
	for _, table := range [][]builtinRule{providerRules, wordRules, codeRules} {
		all = append(all, table...)
	}
	return all
}

// preMessage and postMessage are the stages before and after the message has
// been seen by the server.
const (
	preMessage  = "greeting hello tls auth mail rcpt data"
	postMessage = "body dot"
)

// wordRules read the words of a reply. Their order is that of the question
// which reason is the deeper one: what is said of the sender's set-up comes
// before the limit that follows from it, a limit before "try again later".
var wordRules = []builtinRule{
	// Loops.
	{name: "loop", words: "loop !'loop back address|loopback'", cause: CauseLoop, source: rfc3463,
		sample: "dot: 554 5.4.6 Too many hops"},
	{name: "status-loop", enhanced: "x.4.6", cause: CauseLoop, source: rfc3463, sample: "dot: 554 5.4.6 Sorry"},

	// Greylisting says so itself, whatever else is mentioned.
	{name: "greylist-timed", codes: "5", words: "greylist waitNamed", cause: CauseGreylist, class: Temporary, source: "RFC 6647 (the reply names the time)",
		sample: "rcpt: 550 5.7.1 Greylisted, try again in 300 seconds"},
	{name: "greylist", words: "greylist", cause: CauseGreylist, source: "RFC 6647",
		sample: "rcpt: 450 4.2.0 Greylisted, please come back in 5 minutes"},

	// AUTH: all refusals are the login's, but for these.
	{name: "auth-needs-tls", stages: "auth", words: "tls !'tls handshake syntax'", cause: CauseTLS, source: "RFC 4954",
		sample: "auth: 538 5.7.11 Encryption required for requested authentication mechanism"},
	{name: "auth-syntax", stages: "auth", words: "'syntax*|malformed|cannot decode|decode response|base64|optional argument|response limit|line too long|already authenticated|parameter*|argument*|out of sequence|bad sequence'",
		cause: CauseProtocol, scope: ScopeConnection, source: "RFC 4954", sample: "auth: 501 5.5.2 Cannot decode AUTH response"},
	{name: "auth-quota", stages: "auth", words: "sendQuota|'credit*|quota*'", cause: CauseRateLimit, scope: ScopeAccount, source: "SendGrid",
		sample: "auth: 451 Authentication failed: Maximum credits exceeded"},
	{name: "auth", stages: "auth", cause: CauseAuth, source: "RFC 4954", sample: "auth: 535 5.7.8 Bad user or password"},

	// STARTTLS.
	{name: "starttls-syntax", stages: "tls", words: "'syntax*|parameter*|argument*|protocol violation|pipelin*|repeated|sequence|already|advertised'", cause: CauseProtocol, scope: ScopeConnection, source: "RFC 3207",
		sample: "tls: 501 5.5.4 Syntax error (no parameters allowed)"},
	{name: "starttls-connections", stages: "tls", words: "connLimit", cause: CauseConnectionLimit, source: "Cisco", sample: "tls: 421 #4.4.5 Too many TLS sessions at this time"},
	{name: "starttls", stages: "tls", cause: CauseTLS, source: "RFC 3207", sample: "tls: 454 4.7.0 TLS not available due to a local problem"},

	// The sender's own set-up, also where it is given as the reason of a limit.
	{name: "null-mx-sender", enhanced: "5.7.27", words: "!spf !dkim", cause: CauseBadSender, source: "RFC 7505", sample: "mail: 550 5.7.27 mailfrom domain not configured for mail"},
	{name: "one-recipient-without-spf", words: "'only one recipient|one recipient at a time|one recipient per'", cause: CauseTooManyRecipients, source: "mox",
		sample: "rcpt: 452 4.5.3 only one recipient allowed without spf pass"},
	{name: "message-format", words: "formatFault !'aligned|spf|dmarc|rate limited'", cause: CauseProtocol, scope: ScopeMessage, source: "RFC 5322", sample: "dot: 550 5.6.0 Bare line feed in message"},
	{name: "spf-lookup", codes: "4", words: "spf|dkim|dmarc lookupFailed|'temperror|temp error|temporary error*|temporary dns|temporarily unable|lookup'", cause: CauseDNS, scope: ScopeHost,
		source: "RFC 7208", sample: "mail: 451 4.4.3 SPF lookup failure, try again later"},
	{name: "spf", words: "spf|dkim|dmarc", cause: CauseSenderPolicy, source: "RFC 7208, RFC 7489", sample: "dot: 550 5.7.1 SPF check failed"},
	{name: "list-members", stages: "mail rcpt data body dot unknown", words: "list rejectedFor|policy|'only' !listed !blacklist !spam !'this list see|from this list|block list|list of'", cause: CauseBadSender, scope: ScopeRecipient, source: "Microsoft",
		sample: "rcpt: 550 5.7.1 Only its members may write to this list"},
	{name: "recipient-refuses", words: "refusedByRecipient !'member of domain|member of the domain'", cause: CauseBadSender, scope: ScopeRecipient, source: "sisimai",
		sample: "dot: 550 5.7.1 You have been blocked by the recipient"},
	{name: "helo-without-records", codes: "5", words: "helo 'dns|does not exist|no address|not resolve|a record|mx record' 'missing|no|not|without|lacks|does not|nonexistent|non existent|invalid' !listed", cause: CauseSenderPolicy, scope: ScopeHost, source: "RFC 5321 section 4.1.4",
		sample: "hello: 550 5.7.0 HELO argument is missing a DNS entry"},
	{name: "helo-argument", stages: "hello unknown", codes: "500 501 502 504", words: "helo 'syntactically|syntax*|argument*|requires|hostname' !'rejected'", cause: CauseProtocol, scope: ScopeHost, source: "RFC 5321 section 4.1.1.1",
		sample: "hello: 501 Syntactically invalid HELO argument(s)"},
	{name: "helo-name", words: "helo !listed !blacklist 'denied|rejected|invalid|does not resolve|not resolve|not found|refused|bad|forbidden|not allowed|must be|must contain|requires|error|mismatch*|fully qualified|wrong|fail*|not accepted|domain|looks|dynamic|match|generic|real|valid' !'say helo|need helo|helo first|ehlo first|hello first|send helo|send ehlo|syntax*|empty|argument*|not offered|not implemented|not recognized|unrecognized|unknown command' !authRequired", cause: CauseSenderPolicy, scope: ScopeHost, source: "RFC 5321 section 4.1.4",
		sample: "hello: 550 EHLO denied"},
	{name: "sender-auth", words: "senderAuth !listed", cause: CauseSenderPolicy, source: "RFC 7489", sample: "dot: 550 5.7.1 Message rejected as spoofed"},
	{name: "sender-abuse", words: "'sender rejected|sender address rejected' abuse", cause: CauseReputation, scope: ScopeSender, source: "AT&T", sample: "mail: 552 sender rejected AUP"},
	{name: "sender-address-refused", words: "'sender address rejected|sender rejected|sender reject' !lookupFailed|listed|ptr|rate|blocked", cause: CauseBadSender, source: "Postfix",
		sample: "mail: 553 5.7.1 Sender address rejected: not logged in"},
	{name: "auth-required", words: "authRequired", cause: CauseAuth, source: "RFC 4954", sample: "mail: 530 5.7.0 Authentication required"},
	{name: "relay-without-login", words: "relayDenied authNoun|authFailed", cause: CauseAuth, source: "Sendmail", sample: "rcpt: 550 Local users only, or use an authentication mechanism to relay"},
	{name: "relay-denied", words: "relayDenied !'spammer*|on relaying|bypassing'", cause: CauseRelayDenied, source: rfc5321, sample: "rcpt: 554 5.7.1 Relay access denied"},
	{name: "reverse-dns-lookup", codes: "4", words: "ptr 'timeout|timed out|servfail|temporary failure|lookup failure|temporarily|dns failure|rdns failure|dns error|lookup error|temporary error|temporary problem|error validating|error checking|could not check|cannot check|could not validate' !'temporarily rejected'", cause: CauseDNS,
		source: "Comcast", sample: "greeting: 421 Reverse DNS failure : Try again later"},
	{name: "reverse-dns", words: "ptr", cause: CauseSenderPolicy, scope: ScopeHost, source: "RFC 1912 section 2.1",
		sample: "mail: 550 No PTR record for your address"},
	{name: "tls-syntax", words: "'starttls|tls' 'syntax error|not be repeated|not advertised|non ssl|pipelin*|protocol violation|already|unexpected'", cause: CauseProtocol, scope: ScopeConnection,
		source: "RFC 3207", sample: "mail: 503 5.5.1 STARTTLS may not be repeated"},
	{name: "ssl-on-plain-port", words: "'ssl attempted|non ssl|ssl request|ssl client hello'", cause: CauseProtocol, scope: ScopeConnection, source: "Haraka",
		sample: "greeting: 501 SSL attempted over a non-SSL socket"},
	{name: "tls-required", words: "tls", cause: CauseTLS, source: "RFC 3207", sample: "mail: 530 5.7.0 Must issue a STARTTLS command first"},

	{name: "auth-required-words", stages: "greeting hello mail rcpt data unknown", words: "authNoun required !senderAuth !'match*|please visit|please see|please contact|please try'", cause: CauseAuth, source: "RFC 4954", sample: "mail: 550 You need SMTP AUTH to submit"},

	// Block lists and standing.
	{name: "listed-link", stages: postMessage, words: "listed|blacklist 'url|urls|uri|uris|link|links|website|uribl|surbl|~uribl|~surbl'", cause: CauseContent, source: "sisimai",
		sample: "dot: 554 5.7.1 Blacklisted URL in message"},
	{name: "listed-user", words: "'blacklisted user*|blacklisted sender*|blacklisted email*|blacklisted mail from|blacklisted from|blacklisted domain*|blocklisted sender*|sender blacklisted|sender blocklisted'", cause: CauseReputation, scope: ScopeSender, source: "Postfix",
		sample: "rcpt: 550 5.7.1 Client host rejected: Blacklisted user: user@example.org"},
	{name: "listed-sender", words: "listed|blacklist 'mailfrom|mail from domain|sender domain|sender address*|senders domain|your domain|domain name|email address|sending domain|from domain|envelope domain|domain present|your address|domain is|envelope sender|sender|badmailfrom|black mail|user in blacklist|~dbl|rhsbl' !'helo|ehlo|~dnsbl|~barracudacentral*|~spamcop*|~sorbs|~cbl|~xbl|~zen' !ip !'sender @ip'", cause: CauseReputation, scope: ScopeSender, source: "Spamhaus DBL",
		sample: "mail: 550 5.7.1 MailFrom domain is listed in Spamhaus"},
	{name: "listed", words: "listed|blacklist", cause: CauseReputation, source: "RFC 5782", sample: "rcpt: 554 5.7.1 Client host [192.0.2.1] blocked using dnsbl.example"},
	{name: "unknown-recipients", words: "'too many unknown|too many invalid|too many nonexist*|too many bad rcpt*|too many bad recipient*|excessive unknown|many unknown|many invalid|too many errors from|too many spam*|too much spam from|too many unwanted'", cause: CauseReputation, source: "Cox",
		sample: "rcpt: 550 Too many invalid recipients"},
	{name: "account-blocked", words: "'sending email account|your account|sending account|this account|email account has been' blocked|'suspended|disabled|locked' abuse|spam", cause: CauseReputation, scope: ScopeAccount,
		source: "Spectrum", sample: "mail: 550 5.7.0 Your account has been suspended due to abuse"},
	{name: "sending-suspended", words: "'sending suspended|sending blocked|sending is blocked|sending has been blocked|sending denied|sending is disabled|sending is suspended|sending disabled|sending has been suspended|sending has been disabled|sending privileges'", cause: CauseReputation, scope: ScopeAccount,
		source: "Amazon SES", sample: "dot: 554 Message rejected: Sending suspended for this account."},
	{name: "reputation-sender", words: "reputation domain !ip", cause: CauseReputation, scope: ScopeSender, source: "Gmail",
		sample: "dot: 550 5.7.1 Very low reputation of the sending domain"},
	{name: "reputation", words: "reputation", cause: CauseReputation, source: "Gmail", sample: "dot: 550 5.7.1 Very low reputation of the sending IP address"},
	{name: "dynamic-ip", words: "dynamic ip|host|domain|'ptr|address|addresses|range*|connections|pool*'", cause: CauseReputation, source: "Hotmail DY-001", sample: "greeting: 550 Dynamic IP address ranges are not accepted"},
	{name: "region", words: "geo blocked|rejectedFor|policy", cause: CauseReputation, source: "Mimecast", sample: "greeting: 554 Rejected based on geographical location"},

	// Limits.
	{name: "send-quota-timed", codes: "5", words: "waitNamed sendQuota", cause: CauseRateLimit, scope: ScopeAccount, class: Temporary, source: "cPanel (the reply names the time)",
		sample: "mail: 550 Domain example.org has exceeded the max emails per hour (500/500), try again in 1 hour"},
	{name: "limit-timed", codes: "5", words: "waitNamed later rate|throttle|connLimit|tooManyWords|sendQuota", cause: CauseRateLimit, class: Temporary, source: "policyd-weight and others (the reply names the time)",
		sample: "mail: 550 Rate limit reached, try again in 15 minutes"},
	{name: "too-many-recipients-in-message", words: "'has too many recipients|contains too many recipients|multi recipient bounce'", cause: CauseTooManyRecipients, source: "Gmail",
		sample: "rcpt: 452 4.5.3 Your message has too many recipients"},
	{name: "send-quota", words: "sendQuota !connLimit !'your server|your ip|your host|from @ip|this ip|ip address'", cause: CauseRateLimit, scope: ScopeAccount, source: "Amazon SES",
		sample: "dot: 454 Throttling failure: Maximum sending rate exceeded"},
	{name: "mailbox-full", words: "fullPhrase !'larger than|queue quota*' !rate", cause: CauseMailboxFull, source: rfc3463, sample: "rcpt: 552 5.2.2 Mailbox full"},
	{name: "many-errors", words: "tooManyErrors", cause: CauseProtocol, scope: ScopeConnection, source: "Postfix", sample: "unknown: 421 4.7.0 Error: too many errors"},
	{name: "per-connection", words: "inSession tooMany|limit", cause: CauseConnectionLimit, source: "Cisco", sample: "mail: 421 Too many messages for this session"},
	{name: "per-session", stages: "mail", words: "'too many messages sent'", cause: CauseConnectionLimit, source: "OpenSMTPD", sample: "mail: 452 4.5.3 Too many recipients: Too many messages sent"},
	{name: "recipient-rate", words: "'receiving mail|receiving email|receiving messages|receiving too|recipient has exceeded|recipient is receiving|recipients per hour message receive|too many recent messages|of receiving messages|to this recipient|for this recipient|receive limit*|incoming mail|incoming messages|inbound mail|inbound messages|for this user|messages to'  rate|limit|throttle|tooMany", cause: CauseRateLimit, scope: ScopeRecipient,
		source: "Gmail", sample: "rcpt: 450 4.2.1 The recipient has exceeded message rate limit"},
	{name: "connections", words: "connLimit", cause: CauseConnectionLimit, source: rfc5321, sample: "greeting: 421 4.7.0 Too many connections from your IP"},
	{name: "connections-many", words: "'connection|connections|sessions' tooManyWords|throttle|'limit|maximum|rate'", cause: CauseConnectionLimit, source: rfc5321, sample: "greeting: 421 Maximum of connections from your address reached"},
	{name: "rate-by-login", words: "rate|throttle|limit 'login|account*|per user|ratelimit user|rate limit user|limit for user|limit of user|user rate|user limit|username|customer|plan|credits|messages per second|outbound|out ratelimit|submission|hourly limit|your limit|your quota|your hourly|your daily|your allowance|your sending|authenticated|first time recipients' !'their quota|its quota'", cause: CauseRateLimit, scope: ScopeAccount, source: "Amazon SES",
		sample: "mail: 452 4.7.1 Your account has exceeded its hourly limit"},
	{name: "rate-by-sender", words: "rate|throttle 'from @addr|by @addr|sender|sender domain|domain|mail from|from address|dkim domain|spf domain' !ip !'recipient*|rcpt*'", cause: CauseRateLimit, scope: ScopeSender, source: "QQ",
		sample: "mail: 450 Sender rate limited"},
	{name: "rate", words: "rate tooMany|throttle|limit|'more than|more mail than|more messages than|allowance|used up|is over|over the|above|have sent|unusual|excess*|high|unexpected' !'complaint*'", cause: CauseRateLimit, source: "Postfix anvil",
		sample: "mail: 450 4.7.1 Too many messages per hour from your IP"},
	{name: "rate-by-host", words: "limit|tooManyWords 'from your host|from your ip|from your server|from this ip|from this host|from @ip|for your host|for your ip|by your ip|by your host' 'requests|request|messages|mails|emails|mail|deliver*|transactions' !size", cause: CauseRateLimit, source: "RFC 5321 section 4.5.4.1",
		sample: "greeting: 451 Limit of requests from your host reached"},
	{name: "recipients-by-ip", words: "'too many recipients from|too many rcpt from|too many recipients for ip'", cause: CauseRateLimit, source: "Postfix anvil",
		sample: "rcpt: 450 4.7.1 Error: too many recipients from 192.0.2.1"},
	{name: "recipients-by-sender", words: "'recipients received from the sender|recipients from this sender|recipients from the sender'", cause: CauseRateLimit, scope: ScopeSender, source: "Cisco",
		sample: "mail: 452 #4.5.3 Too many recipients received from the sender"},
	{name: "too-many-recipients-552", stages: "rcpt", codes: "552", words: "manyRecipients", cause: CauseTooManyRecipients, class: Temporary, source: "RFC 5321 section 4.5.3.1.10",
		sample: "rcpt: 552 too many recipients"},
	{name: "too-many-recipients", words: "manyRecipients", cause: CauseTooManyRecipients, source: "RFC 5321 section 4.5.3.1.10", sample: "rcpt: 452 4.5.3 Too many recipients"},
	{name: "many-messages", words: "tooManyWords !'on the server' 'messages|mails|emails|message|mail|requests|mail from|deliver*'", cause: CauseRateLimit, source: "Symantec", sample: "mail: 460 too many messages (#4.3.0)"},
	{name: "recipient-limit", codes: "4 5", words: "tooMany recipient|'addresses|destinations' !full !size", cause: CauseTooManyRecipients, source: "RFC 5321 section 4.5.3.1.10",
		sample: "rcpt: 452 4.5.3 Maximum limit of 50 recipients reached"},

	// Mailbox and message size.
	{name: "recipient-unverified", words: "'unverified address|address verification' !sender", cause: CauseBadRecipient, source: "Postfix", sample: "rcpt: 450 4.1.1 Recipient address rejected: unverified address: Address verification in progress"},
	{name: "mailbox-full-words", words: "full mailbox|recipient|'storage' !'larger than|queue*|message size'", cause: CauseMailboxFull, source: rfc3463, sample: "rcpt: 452 Storage of the recipient is full"},
	{name: "size", words: "size !'idle*|took too long' !'syntax*|unable to parse|too long line|line too long|line length'", cause: CauseSize, source: "RFC 1870", sample: "mail: 552 5.3.4 Message size exceeds fixed limit"},

	// Addresses.
	{name: "mail-syntax", stages: "mail unknown", codes: "5", words: "'syntax of|arg syntax|was expecting|syntax mail|syntax should|syntax is|correct syntax|proper syntax|usage mail|should be mail from'", cause: CauseProtocol, source: rfc5321, sample: "mail: 501 5.5.2 Was expecting MAIL arg syntax of FROM:<address>"},
	{name: "sender-verify-failed", words: "'sender verify fail*|sender verification fail*|sender verification error|postmaster verification|verification failed for @addr|verification failed while checking|sender could not be verified|sender cannot be verified|sender not verified|return path verification fail*|reverse path verification fail*|sender address verification'", cause: CauseBadSender, source: "Exim",
		sample: "rcpt: 550 Postmaster verification failed while checking <user@example.org>"},
	{name: "sender-unverified", stages: "mail", words: "'verify address|verify your address|verify the address|verify sender address|verify this address|verify your email|verify @addr'", cause: CauseBadSender, source: rfc3463,
		sample: "mail: 553 <user@example.org> unable to verify address"},
	{name: "recipient-verify-failed", stages: "rcpt", words: "'verify|verification|verifying|verified' 'recipient*|rcpt*|user|mailbox|callout|callback' 'fail*|error|not|unsuccessful|cannot|unable' !sender", cause: CauseBadRecipient, source: "Coremail",
		sample: "rcpt: 554 5.7.1 recipient verify from directory failed"},
	{name: "sender-not-login", words: "'match*|mismatch*|differ*|not belong*|not owned' sender 'username|user|login|account|authenticated user|logged in user' !authNoun|spf", cause: CauseBadSender, source: "Postfix",
		sample: "rcpt: 554 5.7.1 Username and sender doesn't match"},
	{name: "sender-lookup", words: "lookupFailed sender|domain|'mail from' !recipient !helo", cause: CauseDNS, scope: ScopeSender, source: "Sendmail",
		sample: "mail: 451 4.1.8 Domain of sender address does not resolve"},
	{name: "lookup-failed", words: "lookupFailed", cause: CauseDNS, source: "Postfix", sample: "mail: 451 4.3.0 Temporary lookup failure"},
	{name: "blocked-sender", words: "blocked 'your domain|sender domain|your email address|sender|your address|envelope' !ip !'from @ip|host @ip'", cause: CauseReputation, scope: ScopeSender, source: "Symantec", sample: "mail: 553 We have blocked your domain"},
	{name: "sender-refused", words: "'sender address rejected|sender rejected|sender denied|sender refused|sender email address rejected|sender address refused|sender domain rejected|sender is rejected|denies the sender|sender not allowed|sender verify fail*|invalid sender|sender invalid|emetteur invalide|bad sender|mail from invalid|sender address|sender domain|senders domain|bogus mail from|from domain is invalid|blank from|badmailfrom|unroutable sender|domain of sender|null sender*|envelope senders|bounced address|not owned|send as|email address is not verified|not verified|envelope domain|senders mailbox|mail from domain|from address|sender not|sender is not|not authorized to send from|not allowed to send from|match authenticated|match auth|match the authenticated|sender must match|batv*|sender unknown|unknown sender*|sender does not exist|sender doesnt exist|sender not found|from your own|own address*|verify mailfrom|mailfrom failed|verify sender|returned mail|route to sender' !'unauthenticated*|not yet given|already given|bad sender ip*|sender ip address rejected|sender ip rejected'", cause: CauseBadSender,
		source: rfc3463, sample: "mail: 553 5.1.7 Invalid sender"},
	{name: "sender-without-records", words: "sender|domain|'@host' 'has no a|no mx for|no mx found|without mx|without an mx|no mail exchanger*|no mx or a|no a or mx|lacks an mx|lacks mx|has no mx|no mx record*|no a record*|no valid mx|has no dns|no dns records' !recipient", cause: CauseBadSender, source: rfc5321,
		sample: "mail: 550 example.org has no MX record"},
	{name: "return-path", words: "'return path|reverse path|envelope sender|envelope from|bounce address' notExist !recipient", cause: CauseBadSender, source: rfc3463,
		sample: "dot: 554 Transaction failed: invalid return path"},
	{name: "sender-not-ours", stages: "rcpt dot unknown", words: "sender 'not in my domain|not in our domain|not in this domain|not our domain|not a local domain|not from our domain|not in my|not one of our'", cause: CauseBadSender, source: rfc3463,
		sample: "unknown: 501 Sender email is not in my domain"},
	{name: "sender-refused-mail", stages: "mail", words: "notExist|addressRejected sender|domain|'mail from|address*|mx record*'", cause: CauseBadSender, source: rfc3463,
		sample: "mail: 550 5.1.8 Domain does not exist"},
	{name: "auth-failed", words: "authFailed", cause: CauseAuth, source: "RFC 4954", sample: "greeting: 421 4.7.0 too many auth failures"},
	{name: "no-such-user", words: "noSuchUser", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 550 5.1.1 User unknown"},
	{name: "null-mx", words: "'nullmx|null mx|does not accept mail|not accept mail'", cause: CauseRelayDenied, source: "RFC 7505", sample: "rcpt: 556 5.1.10 Recipient address rejected: Domain does not accept mail (nullMX)"},
	{name: "domain-inactive", stages: "rcpt", words: "'domain not active|domain inactive|domain is inactive|domain is not active|domain closed|domain is closed|domain has been closed|domain suspended|domain is suspended|domain has been suspended|domain disabled|domain is disabled|domain has been disabled|domain deactivated|domain expired|domain has expired|domain is locked|domain locked|domain not enabled'", cause: CauseRelayDenied, source: "ImprovMX",
		sample: "rcpt: 452 Recipient address rejected: Domain not active"},
	{name: "recipient-domain", words: "recipient domainNotServed", cause: CauseBadRecipient, source: "Postfix", sample: "rcpt: 450 4.1.2 Recipient address rejected: Domain not found"},
	{name: "recipient-domain-closed", stages: "rcpt", words: "domain disabled !sender !mailbox !recipient !policy", cause: CauseRelayDenied, source: "ImprovMX", sample: "rcpt: 550 Inactive domain"},
	{name: "domain-not-served", words: "domainNotServed", cause: CauseRelayDenied, source: "RFC 7504", sample: "rcpt: 550 Domain is not hosted here"},

	// The form of the message.

	// Content, or standing where the content is not yet known.
	{name: "cannot-connect", stages: "greeting hello unknown", codes: "4", words: "'cannot connect|can not connect|cant connect|could not connect|couldnt connect|unable to connect|failed to connect' 'server*|host'", cause: CauseNetwork, scope: ScopeHost, source: rfc5321,
		sample: "greeting: 421 Cannot connect to SMTP server 192.0.2.1 (192.0.2.1:25), connect error 10060"},
	{name: "helper-down", codes: "4", words: "'error connecting|unable to contact|cannot connect to|could not connect|unable to connect|scanner error|scan fail*|scanning fail*|scanner fail*|scanner unavail*|scanner not|filter unavail*|filter not available|filter is down|filter is not|filter down|filter error|filter fail*|filter timeout|filter timed out|scanner is|scanner down|scanner timed out|scanner timeout|scan timed out|scan timeout|scan error|scanning error|milter*|policy service|policy server|filter temporarily|filtering temporarily'", cause: CauseOverload, source: "Haraka",
		sample: "dot: 450 Error connecting to virus scanner"},
	{name: "virus", words: "virus", cause: CauseContent, source: "RFC 5248", sample: "dot: 554 5.7.1 Virus found"},
	{name: "spam-early-sender", stages: "mail rcpt data", words: "spam|abuse 'sender|sending address|from address|your domain' !ip !ipLiteral", cause: CauseReputation, scope: ScopeSender, source: "sisimai", sample: "mail: 550 Sender is a spammer"},
	{name: "spam-early", stages: "greeting hello mail rcpt data", words: "spam|abuse", cause: CauseReputation, source: "sisimai", sample: "mail: 550 Spam is not accepted here"},
	{name: "spam", words: "spam", cause: CauseContent, source: "RFC 5248", sample: "dot: 550 5.7.1 Message rejected as spam"},
	{name: "abuse", words: "abuse", cause: CauseReputation, source: "Yahoo", sample: "unknown: 421 Your server was hacked"},
	{name: "blocked-ip", words: "blocked|deferredHistory ip|ipLiteral|'from your|access|client|network' !'too busy|is busy|server busy|high load|overload*|maintenance'", cause: CauseReputation, source: "sisimai", sample: "unknown: 550 Access from ip address 192.0.2.1 blocked."},
	{name: "client-refused", words: "'your access|no access for|access is denied from|access denied for|access from your|access from @ip|access is not allowed|bypassing|bad ip|denied from your|denied for your|refused from your|accepting mail from your|accept mail from your|no access from|confirm this mail server|requires confirmation|client host rejected|client rejected|connection rejected|not allowed to connect|host rejected|connections not allowed|not accept connections from|not accepting connections from|ip reject|refused by ip|access denied from|bad sender ip*|sender ip address rejected|sender ip rejected'", cause: CauseReputation, source: "Postfix",
		sample: "rcpt: 554 5.7.1 Client host rejected: Access denied"},
	{name: "sender-by-policy", words: "'mail from @addr|sender @addr|message from @addr' rejectedFor policy", cause: CauseBadSender, source: "zone-mta",
		sample: "mail: 554 Mail from user@example.org rejected for policy reasons."},
	{name: "not-authorized-user", words: "'not authorized to perform|not subscribed to ses'", cause: CauseAuth, source: "Amazon SES", sample: "dot: 554 Access denied: User is not authorized to perform ses:SendRawEmail"},
	{name: "content", stages: postMessage, words: "content", cause: CauseContent, source: "RFC 5248", sample: "dot: 550 5.7.1 Message content rejected"},
	{name: "content-any", stages: "unknown", words: "content rejectedFor", cause: CauseContent, source: "RFC 5248", sample: "unknown: 550 Rejected by content filter"},

	// SMTP itself.
	{name: "status-recipient", enhanced: "x.1.1 x.1.2 x.1.3 x.1.6 x.1.10", words: "!policy", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 550 5.1.1 Sorry"},
	{name: "status-sender", enhanced: "x.1.7 x.1.8", cause: CauseBadSender, source: rfc3463, sample: "mail: 550 5.1.8 Sorry"},
	{name: "early-talk", words: "'protocol violation|pipelin*|synchronization|synchronisation|before greeting|early talk*|talking too soon|not following the smtp|protocol error'", cause: CauseProtocol, scope: ScopeConnection, source: "Exim", sample: "greeting: 554 SMTP synchronization error"},
	{name: "greeting-syntax", stages: "greeting", words: "syntax", cause: CauseProtocol, scope: ScopeConnection, source: "Haraka", sample: "greeting: 501 Unexpected data"},
	{name: "recipient-error", words: "'recipient error'", cause: CauseUnknown, scope: ScopeRecipient, source: "zone-mta", sample: "rcpt: 451 4.3.0 This message could not be delivered due to a recipient error."},
	{name: "recipient-syntax", stages: "rcpt", words: "invalidSyntax 'address*|recipient*|mailbox*|domain|forward path|local part|@addr' !'syntax rcpt|bare*'", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 501 Recipient address has syntax errors"},
	{name: "sender-syntax", stages: "mail", words: "invalidSyntax 'address*|sender*|domain|reverse path|return path|local part|@addr' !'syntax mail'", cause: CauseBadSender, source: rfc3463, sample: "mail: 501 Improper domain after MAIL"},
	{name: "bad-recipient", stages: "rcpt dot body unknown", words: "recipient|mailbox|'address*' notExist|disabled", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 550 That mailbox has been closed"},
	{name: "no-recipients", words: "noRecipients", cause: CauseProtocol, source: rfc5321, sample: "data: 503 need RCPT command"},
	{name: "syntax", words: "syntax", cause: CauseProtocol, source: rfc5321, sample: "unknown: 500 5.5.1 Command not recognized"},

	// The link and the server.
	{name: "timeout", words: "timeout", cause: CauseNetwork, source: rfc5321, sample: "data: 421 4.4.2 Timeout while waiting for data"},
	{name: "greylist-hidden", stages: "rcpt", codes: "4", words: "addressRejected|'policy rejection' later", cause: CauseGreylist, source: "policyd", sample: "rcpt: 450 4.7.1 Recipient address rejected: please try later"},
	{name: "overload", words: "overload", cause: CauseOverload, source: rfc5321, sample: "unknown: 421 4.3.2 Server busy"},
	{name: "recipient-by-policy", stages: "rcpt", codes: "5", words: "addressRejected 'policy reason*|policy violation|by policy|local policy|administrative*'", cause: CauseUnknown, scope: ScopeRecipient, source: rfc5321,
		sample: "rcpt: 554 5.7.1 Recipient address rejected for policy reasons"},
	{name: "recipient-refused", stages: "rcpt", words: "addressRejected", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 550 #5.1.0 Address rejected."},
}

// codeRules decide where the words say nothing.
var codeRules = []builtinRule{
	{name: "refused-client", stages: "greeting hello mail rcpt", codes: "5", words: "policy|blocked|rejectedFor ip|ipLiteral", cause: CauseReputation, source: rfc5321,
		sample: "mail: 550 Your host 192.0.2.1 is not allowed to send mail here"},
	{name: "refused-greeting", stages: "greeting unknown", codes: "5", words: "blocked", cause: CauseReputation, source: rfc5321, sample: "greeting: 554 Blocked"},
	{name: "refused-connection", stages: "greeting", codes: "5", words: "rejectedFor|policy 'connection*|connect|client|you'", cause: CauseReputation, source: rfc5321, sample: "greeting: 554 Connection refused"},
	{name: "hello-unknown-name", stages: "hello", codes: "5", words: "'dns|does not exist|nonexistent|non existent|not resolve|not found|no address|no such host|unknown host|not known'", cause: CauseSenderPolicy, scope: ScopeHost, source: "RFC 5321 section 4.1.4",
		sample: "hello: 501 <mail.example.org> does not exist"},
	{name: "hello-syntax", stages: "hello", codes: "500 501 502 503 504", words: "!rejectedFor", cause: CauseProtocol, source: rfc5321, sample: "hello: 501 5.0.0 Invalid domain name"},
	{name: "refused-hello", stages: "hello", codes: "5", cause: CauseSenderPolicy, scope: ScopeHost, source: rfc5321, sample: "hello: 550 EHLO not liked"},

	// Enhanced codes that mean what RFC 3463 says wherever they are seen.
	{name: "status-mailbox", stages: "rcpt dot unknown", enhanced: "x.2.1", cause: CauseBadRecipient, source: rfc3463, sample: "rcpt: 550 5.2.1 Sorry"},
	{name: "status-full", enhanced: "x.2.2", cause: CauseMailboxFull, source: rfc3463, sample: "rcpt: 552 5.2.2 Sorry"},
	{name: "status-size", enhanced: "x.2.3 x.3.4", cause: CauseSize, source: rfc3463, sample: "dot: 552 5.3.4 Sorry"},
	{name: "status-link", codes: "4", enhanced: "4.4.2", cause: CauseNetwork, source: rfc3463, sample: "dot: 421 4.4.2 Sorry"},
	{name: "status-congestion", stages: "greeting hello", codes: "4", enhanced: "4.4.5", cause: CauseConnectionLimit, source: rfc3463, sample: "greeting: 421 4.4.5 Sorry"},
	{name: "status-resolver", enhanced: "x.4.3", cause: CauseDNS, source: rfc3463, sample: "mail: 451 4.4.3 Sorry"},
	{name: "status-protocol", codes: "5", enhanced: "5.5.1 5.5.2 5.5.4 5.5.5 5.5.6 5.6.x", words: "!policy !rejectedFor", cause: CauseProtocol, source: rfc3463, sample: "unknown: 554 5.5.2 Sorry"},
	{name: "status-recipients", enhanced: "x.5.3", cause: CauseTooManyRecipients, source: rfc3463, sample: "rcpt: 452 4.5.3 Sorry"},
	{name: "status-auth", enhanced: "x.7.8 x.7.9", words: "!policy", cause: CauseAuth, source: "RFC 4954", sample: "mail: 550 5.7.8 Sorry"},
	{name: "status-tls", enhanced: "x.7.10 x.7.11", cause: CauseTLS, source: "RFC 5248", sample: "mail: 550 5.7.10 Sorry"},

	// Basic codes.
	{name: "code-auth", codes: "530 534 535", cause: CauseAuth, source: "RFC 4954", sample: "mail: 530 Sorry"},
	{name: "code-tls", codes: "523 538", cause: CauseTLS, source: "RFC 4954", sample: "mail: 538 Sorry"},
	{name: "code-no-mail", stages: "mail rcpt unknown", codes: "521 556", cause: CauseRelayDenied, source: "RFC 7504", sample: "rcpt: 556 Sorry"},
	{name: "code-syntax", codes: "500 501 502 503 504 555", cause: CauseProtocol, source: rfc5321, sample: "unknown: 500 Sorry"},
	{name: "status-policy", stages: "rcpt", enhanced: "5.7.x", cause: CauseUnknown, source: rfc3463, sample: "rcpt: 550 5.7.1 Unable to deliver"},
	{name: "code-recipient", stages: "rcpt", codes: "550 551 553", words: "!policy !rejectedFor !blocked", cause: CauseBadRecipient, source: rfc5321, sample: "rcpt: 550 Sorry"},
	{name: "code-sender", stages: "mail", codes: "553", cause: CauseBadSender, source: rfc5321, sample: "mail: 553 Sorry"},
	{name: "code-full", stages: "rcpt", codes: "552", cause: CauseMailboxFull, source: rfc5321, sample: "rcpt: 552 Sorry"},
	{name: "code-4yz", codes: "4", cause: CauseOverload, source: rfc5321, sample: "rcpt: 451 Sorry"},
	{name: "code-5yz", cause: CauseUnknown, source: rfc5321, sample: "dot: 554 Sorry"},
}
